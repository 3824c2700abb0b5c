import { evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { beforeAll, expect, test } from 'vitest'
import type { Result } from '#core/protocol/lease.ts'
import type { TaskView } from '#core/protocol/task.ts'
import type { Market } from '#worker/objects/market.ts'
import {
  accountOf,
  CHAT,
  denied,
  ledger,
  market,
  OFFER,
  type Person,
  poll,
  provider,
  refusedAsOpenAi,
  requester,
  send,
  succeeded,
} from '../support/network.ts'

let alice: Person & { session: string }
let bob: Person

beforeAll(async () => {
  alice = await requester()
  bob = await provider([OFFER, { kind: 'text.embed', model: 'echo-embed', ask: '0.0000001', speed: 100 }])
})

const post = <T = TaskView>(key: string, body: unknown = CHAT, path = '/v1/tasks', who: { token: string } = alice) =>
  send<T>('POST', path, { token: who.token, body, headers: { 'idempotency-key': key } })
const other = { ...CHAT, input: { ...CHAT.input, max_tokens: 21 } }

/** Takes what waits, or a task that comes soon, and ends it well. */
async function work(free: number, give: (lease: string) => Result = succeeded): Promise<void> {
  const { leases } = await poll(bob, { free, waitSeconds: 20 })
  const seen = Math.max(...leases.map(({ seq }) => seq))
  await poll(bob, { seen, results: leases.map(({ id }) => give(id)) })
}

test('a hundred duplicates at once make one task and one charge', async () => {
  const carol = await requester()
  const before = await ledger(carol)
  const replies = await Promise.all(Array.from({ length: 100 }, () => post('hundred', CHAT, '/v1/tasks', carol)))
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([201]))
  expect(new Set(replies.map(({ body }) => body.id)).size).toBe(1)
  expect((await ledger(carol)).tasks).toBe(before.tasks + 1)
  expect((await accountOf(carol)).held).toBe(replies[0]!.body.maxPrice)
  await work(1)
  const { price } = (await post('hundred', CHAT, '/v1/tasks', carol)).body
  expect(await accountOf(carol)).toMatchObject({ held: '0', spent: price })
})

test('a batch sent again is answered with the same tasks in the same order, also when they wait for their end', async () => {
  const first = await post<{ tasks: TaskView[] }>('batch', [CHAT, other, CHAT])
  const waiting = post<{ tasks: TaskView[] }>('batch', [CHAT, other, CHAT], '/v1/tasks?waitSeconds=20')
  await work(3)
  const again = await waiting
  expect(again.body.tasks.map(({ id }) => id)).toEqual(first.body.tasks.map(({ id }) => id))
  expect(again.body.tasks.map(({ status }) => status)).toEqual(['succeeded', 'succeeded', 'succeeded'])
})

test('another body under the same key is refused and costs nothing; what JSON leaves open is not another body', async () => {
  const { body } = await post('conflict')
  const before = await ledger(alice)
  denied(await post('conflict', other), 409, 'idempotency_conflict')
  denied(await post('conflict', [CHAT]), 409, 'idempotency_conflict')
  expect(await ledger(alice)).toEqual(before)
  const spaced = await send<TaskView>('POST', '/v1/tasks', {
    token: alice.token,
    raw: JSON.stringify(CHAT, null, 2),
    headers: { 'idempotency-key': 'conflict', 'content-type': 'application/json' },
  })
  expect(spaced.body.id).toBe(body.id)
  await work(1)
})

test('a key belongs to its account, over all of its API keys', async () => {
  const carol = await requester()
  const [hers, mine] = [await post('shared', CHAT, '/v1/tasks', carol), await post('shared')]
  expect(hers.body.id).not.toBe(mine.body.id)
  const { body } = await send<{ key: string }>('POST', '/v1/keys', { token: alice.session, body: { name: 'second' } })
  expect((await post('shared', CHAT, '/v1/tasks', { token: body.key })).body.id).toBe(mine.body.id)
  await work(2)
})

test('a refused submission uses up no key', async () => {
  const poor = { ...CHAT, maxPrice: '1000' }
  denied(await post('refused', poor), 402, 'insufficient_funds')
  denied(await post('refused', poor), 402, 'insufficient_funds')
  expect((await post('refused')).status).toBe(201)
  await work(1)
})

test.each(['', ' ', 'with space', 'x'.repeat(256)])('the key "%s" is refused', async (key) => {
  const before = await ledger(alice)
  denied(await post(key), 422, 'invalid_request')
  expect(await ledger(alice)).toEqual(before)
})

test('keys outlast the market in memory, in its journal and in their table, and are dropped when their time is over', async () => {
  const together = (await post<{ tasks: TaskView[] }>('together', [CHAT, CHAT])).body.tasks
  const made = new Map<string, string>()
  for (let n = 0; n < 260; n++) made.set(`many-${n}`, (await post(`many-${n}`)).body.id)
  const rows = () =>
    runInDurableObject(market(), (_: Market, { storage }) =>
      storage.sql.exec<{ n: number }>('select count(*) as n from keys').one(),
    )
  expect((await rows()).n).toBeGreaterThanOrEqual(250)
  const sample = ['many-0', 'many-249', 'many-250', 'many-259']
  for (const evicted of [false, true]) {
    if (evicted) await evictDurableObject(market())
    for (const key of sample) expect((await post(key)).body.id).toBe(made.get(key))
    denied(await post('many-0', other), 409, 'idempotency_conflict')
  }
  await work(256)
  await work(256)
  // All but the last few have gone to the archive.
  const ended = (await post<{ tasks: TaskView[] }>('together', [CHAT, CHAT])).body.tasks
  expect(ended.map(({ id }) => id)).toEqual(together.map(({ id }) => id))
  expect(ended).toMatchObject([{ output: { content: 'hello there' } }, { status: 'succeeded' }])

  await runInDurableObject(market(), async (object: Market, { storage }) => {
    storage.sql.exec('update keys set day = day - 2, at = at - 2 * 86400000')
    await object.rollUp(Date.now())
  })
  expect((await rows()).n).toBe(0)
})

test('an OpenAI call sent again is answered with the same completion and paid once', async () => {
  const chat = { model: 'echo', messages: [{ role: 'user', content: 'hi' }], max_tokens: 9 }
  const path = '/v1/chat/completions'
  const [first, second] = [post<{ id: string }>('chat', chat, path), post<{ id: string }>('chat', chat, path)]
  await work(1)
  expect((await first).body).toEqual((await second).body)
  expect((await post('chat', chat, path)).body).toEqual((await first).body)
  const reply = await post('chat', { ...chat, max_tokens: 8 }, path)
  refusedAsOpenAi(reply, 'invalid_request_error', 'idempotency_conflict', null)
  expect(reply.status).toBe(409)
})

test('embeddings sent again are the same', async () => {
  const body = { model: 'echo-embed', input: 'hello' }
  const first = post<unknown>('embed', body, '/v1/embeddings')
  await work(1, (lease) => ({
    lease,
    outcome: { status: 'succeeded', output: { embeddings: [[1, 2]] }, usage: { inputTokens: 1, outputTokens: 0 } },
  }))
  expect((await post<unknown>('embed', body, '/v1/embeddings')).body).toEqual((await first).body)
})
