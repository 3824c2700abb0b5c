/**
 * `node scripts/record-market.ts FILE`: lets a market of this version do a bit of everything until it has written a snapshot and a journal
 * after it, and keeps what its storage holds then; test/worker/recorded.test.ts has later versions read that. To be run before the version of
 * the snapshot changes, into test/worker/recorded/market-<version>.txt.
 */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { deserialize } from 'node:v8'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { signIn } from '../client/account.ts'
import { type Connection, call } from '../client/edge.ts'
import type { PollAnswer } from '../core/protocol/lease.ts'
import type { TaskView } from '../core/protocol/task.ts'
import { buildWorker } from './build.ts'
import { spawnEdge } from './edge-process.ts'
import { openRequester } from './requester.ts'

/** A market writes a snapshot when its journal has so many rows; a call that changes something is one. */
const CALLS = 4_100
const chat = (model: string) => ({
  kind: 'llm.chat',
  model,
  input: { messages: [{ role: 'user', content: 'hello' }], max_tokens: 20 },
  deadlineSeconds: 86_400,
})
const outcome = {
  status: 'succeeded',
  output: { content: 'hello there', finishReason: 'stop' },
  usage: { inputTokens: 8, outputTokens: 4 },
}

const state = await mkdtemp(join(tmpdir(), 'daicn-record-'))
try {
  await buildWorker()
  const edge = await spawnEdge({ state, build: false })
  const { address, apiKey } = await openRequester(edge.url, join(state, 'requester'))
  const requester: Connection = { edge: edge.url, key: apiKey }
  const submit = (body: object, headers = {}) =>
    call<TaskView>(requester, 'POST', '/v1/tasks', { body: { ...chat('recorded'), ...body }, headers })

  const { token } = await signIn({ edge: edge.url }, privateKeyToAccount(generatePrivateKey()))
  const provider: Connection = { edge: edge.url, key: token }
  const offers = ['recorded', 'other'].map((model) => ({ kind: 'llm.chat', model, ask: '0.000001', speed: 100 }))
  await call(provider, 'POST', '/v1/provider/register', { body: { name: 'recorded', slots: 8, offers } })
  let seen = 0
  const poll = async (body: object): Promise<PollAnswer> => {
    const empty = { free: 0, seen, results: [], renew: [], waitSeconds: 0 }
    const answer = await call<PollAnswer>(provider, 'POST', '/v1/provider/poll', { body: { ...empty, ...body } })
    for (const { seq } of answer.leases) seen = Math.max(seen, seq)
    return answer
  }
  /** A task done, its lease given and its result taken. */
  const work = async (body: object) => {
    const { id } = await submit(body)
    const [lease] = (await poll({ free: 1 })).leases
    await poll({ results: [{ lease: lease!.id, outcome }] })
    return id
  }

  await work({})
  await work({ model: 'other' })
  for (let calls = 0; calls < CALLS; calls += 2) {
    const { id } = await submit({ maxPrice: '0.0000001' })
    await call(requester, 'POST', `/v1/tasks/${id}/cancel`, {})
  }
  const succeeded = await work({})
  const keyed = await submit({}, { 'idempotency-key': 'recorded' })
  const leases = (await poll({ free: 1 })).leases.map(({ id }) => id)
  const { id: stream } = await submit({ stream: true })
  leases.push(...(await poll({ free: 1, renew: leases })).leases.map(({ id }) => id))
  await poll({ renew: leases })
  const { id: queued } = await submit({ maxPrice: '0.0000001' })
  const [books, snapshot] = await Promise.all(
    ['/v1/network/books', '/v1/network'].map((path) => call({ edge: edge.url }, 'GET', path)),
  )
  await edge.program.kill()
  const expected = { requester: address, keyed: keyed.id, stream, queued, succeeded, leases, books, snapshot }
  const { kv, archive, keys } = await stored(join(state, 'edge'))
  await writeFile(process.argv[2]!, JSON.stringify({ at: Date.now(), expected, kv, archive, keys }, tagged))
} finally {
  await rm(state, { recursive: true, force: true })
}

/** What the market's object holds: of the journal's rows those after the snapshot and one before it, of the archive's the last. */
async function stored(folder: string) {
  const files = (await readdir(folder, { recursive: true })).filter((file) => /Market\/.*\.sqlite$/.test(file))
  for (const file of files) {
    const database = new DatabaseSync(join(folder, file))
    const tables = database.prepare("select name from sqlite_master where name = 'archive'").all()
    if (tables.length === 0) continue
    const rows = database.prepare('select key, value from _cf_KV').all() as { key: string; value: Uint8Array }[]
    const kv = rows.map(({ key, value }) => [key, deserialize(value)] as const)
    const { journal: base } = kv.find(([key]) => key === 'snapshot')![1] as { journal: number }
    const old = kv.find(([key, value]) => key.startsWith('journal:') && value.number <= base)
    return {
      kv: kv.filter((entry) => entry === old || !entry[0].startsWith('journal:') || entry[1].number > base),
      archive: database.prepare('select * from archive order by id desc limit 1').all(),
      keys: database.prepare('select * from keys').all(),
    }
  }
  throw new Error(`no market is stored in ${folder}`)
}

/** What JSON cannot say is an object with one field: `$n` of a bigint, `$m` of a map, `$s` of a set, `$f` of floats, `$x` of a number that is none. */
function tagged(this: unknown, _key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return { $n: String(value) }
  if (value instanceof Map) return { $m: [...value] }
  if (value instanceof Set) return { $s: [...value] }
  if (value instanceof Float64Array) return { $f: [...value] }
  if (typeof value === 'number' && !Number.isFinite(value)) return { $x: String(value) }
  if (ArrayBuffer.isView(value)) throw new Error(`no tag for ${value.constructor.name}`)
  return value
}
