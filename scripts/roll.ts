/**
 * `npm run roll -- [--from REF] [--seconds N]`: a deploy under load of requesters with the SDK and providers that poll. First the edge of an earlier
 * commit serves them, then that of this tree takes its place on the same state; then the other way round; then both do at the same time, over
 * the objects of the earlier one and over those of this. Tells how many tasks ended and which calls failed; exits 1 when any did.
 */
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
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
import { startTwoVersions, type Version } from './two-versions.ts'

const MODEL = 'roll/echo'
const TASK = {
  kind: 'llm.chat' as const,
  model: MODEL,
  input: { messages: [{ role: 'user' as const, content: 'hi' }] },
}
const REQUESTERS = 8
const PROVIDERS = 4
const MOST_TOLD = 20
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
  const versions: [Version, Version] = [
    { name: 'earlier', root: earlier },
    { name: 'this', root: ROOT },
  ]
  const rolls = [
    await replace(versions[0], versions[1]),
    await replace(versions[1], versions[0]),
    await together(versions, versions[0]),
    await together(versions, versions[1]),
  ]
  for (const roll of rolls) console.log(JSON.stringify({ from: values.from, ...roll }))
  process.exitCode = rolls.some(({ faults }) => faults.length > 0) ? 1 : 0
} finally {
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
}

/** The edge of one version takes the place of the other's, on its port and state. */
async function replace(old: Version, next: Version) {
  const state = await mkdtemp(join(folder, 'state-'))
  let edge = await spawnEdge({ state, root: old.root })
  const load = await startLoad([edge.url])
  await wait(seconds * 500)
  const before = load.succeeded()
  const from = performance.now()
  await edge.program.stop()
  edge = await spawnEdge({ state, root: next.root, port: Number(new URL(edge.url).port) })
  const awayMs = Math.round(performance.now() - from)
  await wait(seconds * 500)
  const { succeeded, faults } = await load.end()
  await edge.program.stop()
  return { roll: `${old.name}, then ${next.name}`, before, after: succeeded - before, awayMs, faults }
}

/** Workers of both serve at the same time; every other requester and provider is with the one, the others with the other. */
async function together(versions: [Version, Version], objects: Version) {
  const errors: string[] = []
  const edge = await startTwoVersions(versions, objects, (line) => errors.push(line))
  const load = await startLoad(edge.urls)
  for (let runs = 0; runs < 2; runs++) {
    await wait(seconds * 500)
    await edge.scheduled()
  }
  const { succeeded, faults } = await load.end()
  await edge.stop()
  const logged = errors.filter((line) => line.startsWith('error'))
  return { roll: `together, objects of ${objects.name}`, succeeded, faults: [...faults, ...logged].slice(0, MOST_TOLD) }
}

/** Each requester and provider asks one of these edges. */
async function startLoad(urls: string[]) {
  const faults: string[] = []
  /** Requesters ask for no more; then providers take no more, for what was asked for has ended. */
  let asked = false
  let over = false
  let succeeded = 0
  const urlOf = (n: number) => urls[n % urls.length]!

  const request = async (n: number) => {
    const { daicn } = await openRequester(urlOf(n), join(folder, `requester-${randomUUID()}`))
    while (!asked) {
      await daicn.run(TASK).then(
        () => succeeded++,
        (error) => faults.push(String(error)),
      )
    }
  }
  const provide = async (n: number) => {
    const edge = urlOf(n)
    const { token } = await signIn({ edge }, privateKeyToAccount(generatePrivateKey()))
    const connection: Connection = { edge, key: token }
    const offers = [{ kind: 'llm.chat', model: MODEL, ask: '0.000000001', speed: 1000 }]
    await insist(connection, 'POST', '/v1/provider/register', { body: { name: 'roll', slots: 4, offers } })
    let seen = 0
    let results: object[] = []
    while (!over || results.length > 0) {
      const body = { free: over ? 0 : 4, seen, results, renew: [], waitSeconds: over ? 0 : 2 }
      const answer = await insist<PollAnswer>(connection, 'POST', '/v1/provider/poll', { body, holdMs: 2_000 })
      for (const { accepted, code } of answer.results) if (!accepted) faults.push(`a result was refused: ${code}`)
      for (const { seq } of answer.leases) seen = Math.max(seen, seq)
      if (answer.leases.length > 0) await wait(50)
      results = answer.leases.map(({ id }) => ({ lease: id, outcome: OUTCOME }))
    }
  }
  const all = (count: number, work: (n: number) => Promise<void>) =>
    Promise.all(Array.from({ length: count }, (_, n) => work(n).catch((error) => faults.push(String(error)))))
  const providers = all(PROVIDERS, provide)
  await wait(1_000)
  const requesters = all(REQUESTERS, request)

  return {
    succeeded: () => succeeded,
    /** Ends when nothing is open any more, and holds the network's own figures against what was seen. */
    async end() {
      asked = true
      await requesters
      over = true
      await providers
      for (const edge of urls) {
        const [books, { metrics }] = await Promise.all([
          insist<BooksView>({ edge }, 'GET', '/v1/network/books'),
          insist<NetworkSnapshot>({ edge }, 'GET', '/v1/network'),
        ])
        if (metrics.totalTasks !== succeeded)
          faults.push(`${metrics.totalTasks} tasks, of which ${succeeded} succeeded`)
        if (books.held !== '0') faults.push(`${books.held} is still held`)
      }
      return { succeeded, faults: faults.slice(0, MOST_TOLD) }
    },
  }
}
