/**
 * Dispatch beside task queues of others, all driven by wrk, a client nobody here wrote: theirs behind POST /run of the folder's own run.mjs,
 * ours by its public routes with authentication and ledger. wrk, redis-server and PostgreSQL must be on the path.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { Fault } from '../../scripts/checks.ts'
import { startAgents } from './agents.ts'
import type { Figures } from './bench.ts'
import { requestOf } from './submitters.ts'

const PEERS = {
  'bullmq-pull': 'bullmq_pull',
  'pg-boss': 'pgboss',
  'graphile-worker': 'graphile',
  'dbos-direct': 'dbos',
  restate: 'restate',
} as const
const CONNECTIONS = 32
const BATCH = 100
const BATCH_CONNECTIONS = 8

type Driven = { rps: number; p50_ms: number; p99_ms: number; errors: number; timeouts: number; non2xx: number }
type Row = Driven & { peer: keyof typeof PEERS; failed?: string }

/** @param providers session tokens of providers, by how many slots they have */
export async function besidePeers(
  folder: string,
  edge: string,
  apiKey: string,
  providers: Record<number, string[]>,
  seconds: number,
  log: (line: string) => void,
): Promise<Figures> {
  const own: Record<string, number> = {}
  for (const [name, batch, connections, free] of [
    ['32', 1, CONNECTIONS, 1],
    ['batch100', BATCH, BATCH_CONNECTIONS, 50],
  ] as const) {
    const agents = await startAgents(edge, providers[free]!, free)
    const driven = await Promise.race([wrk(folder, edge, apiKey, batch, connections, seconds), agents.failed])
    await agents.stop()
    own[name] = driven.rps * batch
    log(`ours by wrk, ${name}: ${tell(driven)}, ${Math.round(own[name])} tasks/s`)
  }
  const figures: Figures = Object.fromEntries(
    Object.entries(own).map(([name, rate]) => [`dispatch.wrk_tasks_per_s_${name}`, Math.round(rate)]),
  )
  await run(folder, './services.sh', ['up'])
  try {
    const env = { CONC: String(CONNECTIONS), SECS: String(seconds) }
    const lines = (await run(folder, process.execPath, ['run.mjs', Object.keys(PEERS).join()], env)).split('\n')
    for (const line of lines.filter((text) => text.startsWith('{'))) {
      const row = JSON.parse(line) as Row
      if (row.failed) {
        log(`${row.peer} failed: ${row.failed}`)
        continue
      }
      log(`${row.peer}: ${tell(row)}`)
      figures[`dispatch.${PEERS[row.peer]}_tasks_per_s_32`] = Math.round(row.rps)
      figures[`dispatch.ratio_${PEERS[row.peer]}_32`] = round(own['32']! / row.rps)
      if (row.peer === 'bullmq-pull') figures['dispatch.ratio_bullmq_pull_batch100'] = round(own.batch100! / row.rps)
    }
  } finally {
    await run(folder, './services.sh', ['down'])
  }
  return figures
}

async function wrk(
  folder: string,
  edge: string,
  apiKey: string,
  batch: number,
  connections: number,
  seconds: number,
): Promise<Driven> {
  const args = ['-t1', `-c${connections}`, `-d${seconds}`, '--timeout', '30', '--latency']
  const { path, body } = requestOf(batch)
  const env = { RUN_PATH: path, RUN_BODY: body, RUN_AUTH: `Bearer ${apiKey}` }
  const text = await run(folder, 'wrk', [...args, '-s', join(folder, 'load/run.lua'), edge], env)
  const driven = JSON.parse(/^JSON (.*)$/m.exec(text)![1]!) as Driven
  if (driven.non2xx + driven.errors + driven.timeouts > 0) throw new Error(`wrk met errors: ${JSON.stringify(driven)}`)
  return driven
}

/** @returns what it printed */
function run(folder: string, command: string, args: string[], env: Record<string, string> = {}): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const program = spawn(command, args, {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let printed = ''
  program.stdout.on('data', (chunk: Buffer) => {
    printed += chunk
  })
  program.on('error', () => reject(new Fault(`${command} does not start.`, 'What peers need is in their README.')))
  program.on('close', (code) => (code === 0 ? resolve(printed) : reject(new Error(`${command} ended with ${code}`))))
  return promise
}

const tell = ({ rps, p50_ms, p99_ms }: Driven): string =>
  `${Math.round(rps)} calls/s, p50 ${p50_ms} ms, p99 ${p99_ms} ms`
const round = (value: number): number => Number(value.toPrecision(3))
