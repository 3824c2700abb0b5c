/** Saves results to a spool without end and says after each how many are saved. Arguments: directory, edge. */
import { openSpool } from '#agent/spool.ts'

const spool = await openSpool(process.argv[2]!, process.argv[3]!)
for (let i = 1; ; i++) {
  const output = { text: 'x'.repeat(50_000) }
  await spool.save({
    lease: `t${i}.1`,
    outcome: { status: 'succeeded', output, usage: { inputTokens: 0, outputTokens: 0 } },
  })
  process.stdout.write(`${i}\n`)
}
