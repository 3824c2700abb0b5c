/**
 * `npm run roll -- [--from REF] [--seconds N]`: a deploy under load. The edge of an earlier commit serves requesters with the SDK and providers that
 * poll; then the edge of this tree takes its place on the same state. Tells how many tasks ended and which calls failed; exits 1 when any did.
 */
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { signIn } from '../client/account.ts'
import { type Connection, insist } from '../client/edge.ts'
import type { PollAnswer } from '../core/protocol/lease.ts'
import type { BooksView, NetworkSnapshot } from '../core/protocol/network.ts'
import { spawnEdge } from './edge-process.ts'
import { inRoot, ROOT } from './paths.ts'
import { openRequester } from './requester.ts'

const MODEL = 'roll/echo'
const REQUESTERS = 8
const PROVIDERS = 4
const OUTCOME = {
  status: 'succeeded',
  output: { content: 'echo', finishReason: 'stop' },
  usage: { inputTokens: 10, outputTokens: 4 },
}

const { values } = parseArgs({
  options: { from: { type: 'string', default: 'HEAD^' }, seconds: { type: 'string', default: '10' } },
})
const seconds = Number(values.seconds)
const folder = await mkdtemp(join(tmpdir(), 'daicn-roll-'))
try {
  const earlier = join(folder, 'earlier')
  await mkdir(earlier)
  const tree = execFileSync('git', ['archive', values.from], { cwd: ROOT, maxBuffer: 2 ** 30 })
  execFileSync('tar', ['-x', '-C', earlier], { input: tree })
  await symlink(inRoot('node_modules'), join(earlier, 'node_modules'))
  const state = join(folder, 'state')
  let edge = await spawnEdge({ state, root: earlier })
  const { url } = edge
  const faults: string[] = []
  let over = false
  let succeeded = 0

  const { daicn } = await openRequester(url, join(folder, 'requester'))
  const task = {
    kind: 'llm.chat' as const,
    model: MODEL,
    input: { messages: [{ role: 'user' as const, content: 'hi' }] },
  }
  const request = async () => {
    while (!over) {
      await daicn.run(task).then(
        () => succeeded++,
        (error) => faults.push(String(error)),
      )
    }
  }
  const provide = async () => {
    const { token } = await signIn({ edge: url }, privateKeyToAccount(generatePrivateKey()))
    const connection: Connection = { edge: url, key: token }
    const offers = [{ kind: 'llm.chat', model: MODEL, ask: '0.000000001', speed: 1000 }]
    await insist(connection, 'POST', '/v1/provider/register', { body: { name: 'roll', slots: 4, offers } })
    let seen = 0
    let results: object[] = []
    const work = async () => {
      while (!over || results.length > 0) {
        const body = { free: over ? 0 : 4, seen, results, renew: [], waitSeconds: over ? 0 : 2 }
        const answer = await insist<PollAnswer>(connection, 'POST', '/v1/provider/poll', { body, holdMs: 2_000 })
        for (const { accepted, code } of answer.results) if (!accepted) faults.push(`a result was refused: ${code}`)
        for (const { seq } of answer.leases) seen = Math.max(seen, seq)
        if (answer.leases.length > 0) await wait(50)
        results = answer.leases.map(({ id }) => ({ lease: id, outcome: OUTCOME }))
      }
    }
    return work().catch((error) => faults.push(String(error)))
  }
  const providers = Array.from({ length: PROVIDERS }, provide)
  await wait(1_000)
  const requesters = Array.from({ length: REQUESTERS }, request)
  await wait(seconds * 500)
  const before = succeeded
  const from = performance.now()
  await edge.program.stop()
  edge = await spawnEdge({ state, port: Number(new URL(url).port) })
  const awayMs = Math.round(performance.now() - from)
  await wait(seconds * 500)
  over = true
  await Promise.all(requesters)
  await Promise.all(providers)
  const [books, { metrics }] = await Promise.all([
    insist<BooksView>({ edge: url }, 'GET', '/v1/network/books'),
    insist<NetworkSnapshot>({ edge: url }, 'GET', '/v1/network'),
  ])
  if (metrics.totalTasks !== succeeded) faults.push(`${metrics.totalTasks} tasks, of which ${succeeded} succeeded`)
  if (books.held !== '0') faults.push(`${books.held} is still held`)
  await edge.program.stop()
  console.log(
    JSON.stringify({ from: values.from, before, after: succeeded - before, awayMs, faults: faults.slice(0, 20) }),
  )
  process.exitCode = faults.length > 0 ? 1 : 0
} finally {
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
}
