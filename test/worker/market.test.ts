import { evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { expect, test } from 'vitest'
import { parseAmount } from '#core/money.ts'
import type { TaskView } from '#core/protocol/task.ts'
import type { Market } from '#worker/objects/market.ts'
import { nextAlarm, ring } from '../support/alarm.ts'
import {
  accountOf,
  bindings,
  books,
  CHAT,
  failed,
  market,
  OFFER,
  poll,
  provider,
  read,
  requester,
  send,
  submit,
  succeeded,
} from '../support/network.ts'

test('a task goes to a provider, comes back, and only what was metered is paid', async () => {
  const [alice, bob] = [await requester(), await provider()]
  const task = await submit(alice)
  expect(task.status).toBe('queued')
  expect(await accountOf(alice)).toMatchObject({ held: task.maxPrice, spent: '0' })

  const [lease] = (await poll(bob, { free: 1 })).leases
  expect(lease).toMatchObject({ id: `${task.id}.1`, kind: 'llm.chat', model: 'echo', input: CHAT.input })
  expect((await read(alice, task.id)).status).toBe('leased')
  await poll(bob, { seen: lease!.seq, renew: [lease!.id] })
  expect((await read(alice, task.id)).status).toBe('running')

  const { results } = await poll(bob, { seen: lease!.seq, results: [succeeded(lease!.id)] })
  expect(results).toEqual([{ lease: lease!.id, accepted: true }])
  const done = await read(alice, task.id)
  // 8 input tokens are 2 units, 4 output tokens are 4.
  expect(done).toMatchObject({
    status: 'succeeded',
    provider: bob.address,
    units: 6,
    price: '0.000006',
    output: { content: 'hello there' },
    usage: { inputTokens: 8, outputTokens: 4 },
  })
  expect(await accountOf(alice)).toMatchObject({ deposited: '100', held: '0', spent: '0.000006', free: '99.999994' })
  expect(await books()).toMatchObject({ captured: '0.000006', earned: '0.00000594', fees: '0.00000006', held: '0' })
})

test('a waiting provider is handed a task the moment it comes, and the submitter holds on until it is done', async () => {
  const [alice, bob] = [await requester(), await provider([{ ...OFFER, model: 'prompt' }])]
  const waiting = poll(bob, { free: 1, waitSeconds: 20 })
  const submitted = send<TaskView>('POST', '/v1/tasks?waitSeconds=20', { ...alice, body: { ...CHAT, model: 'prompt' } })
  const [lease] = (await waiting).leases
  await poll(bob, { seen: lease!.seq, results: [succeeded(lease!.id)] })
  expect((await submitted).body.status).toBe('succeeded')
})

test('a batch is accepted whole or not at all', async () => {
  const alice = await requester()
  await provider()
  const good = await send<{ tasks: TaskView[] }>('POST', '/v1/tasks', { ...alice, body: [CHAT, CHAT, CHAT] })
  expect(good.body.tasks).toHaveLength(3)
  const before = await books()
  const bad = await send<{ code: string; pointer: string }>('POST', '/v1/tasks', {
    ...alice,
    body: [CHAT, { ...CHAT, model: 'nobody-has-this' }],
  })
  expect(bad.body).toMatchObject({ code: 'unknown_model', pointer: '/1/model' })
  expect(await books()).toEqual(before)
})

test('who cannot pay is told so, and nothing is held', async () => {
  const [alice] = [await requester(), await provider()]
  const { status, body } = await send<{ code: string }>('POST', '/v1/tasks', {
    ...alice,
    body: { ...CHAT, maxPrice: '100.5' },
  })
  expect([status, body.code]).toEqual([402, 'insufficient_funds'])
  expect(await accountOf(alice)).toMatchObject({ free: '100', held: '0' })
})

test('a result counts once: sent again it is confirmed, from an older attempt it is refused', async () => {
  const model = 'fenced'
  const alice = await requester()
  const [bob, carol] = [await provider([{ ...OFFER, model }]), await provider([{ ...OFFER, model }])]
  const task = await submit(alice, { ...CHAT, model })
  const [first] = (await poll(bob, { free: 1 })).leases
  // Bob says that it has seen the lease and does not hold it: the market gives it to somebody else.
  await poll(bob, { seen: first!.seq })
  const [second] = (await poll(carol, { free: 1 })).leases
  expect(second!.id).toBe(`${task.id}.2`)
  await poll(carol, { seen: second!.seq, results: [succeeded(second!.id)] })

  const again = await poll(carol, { seen: second!.seq, results: [succeeded(second!.id, 'another text')] })
  expect(again.results).toEqual([{ lease: second!.id, accepted: true }])
  const late = await poll(bob, { seen: first!.seq, results: [succeeded(first!.id)] })
  expect(late.results).toEqual([{ lease: first!.id, accepted: false, code: 'task_finished' }])
  const stolen = await poll(bob, { seen: first!.seq, results: [succeeded(second!.id)] })
  expect(stolen.results).toEqual([{ lease: second!.id, accepted: false, code: 'lease_not_found' }])
  // The same once the task is in the archive.
  const isPacked = () =>
    runInDurableObject(
      market(),
      (_: Market, { storage }) =>
        storage.sql.exec('select id from archive where tasks like ?', `%${task.id}%`).toArray().length > 0,
    )
  while (!(await isPacked())) await ring(await nextAlarm())
  const much = await poll(carol, { seen: second!.seq, results: [succeeded(second!.id)] })
  expect(much.results).toEqual([{ lease: second!.id, accepted: true }])
  for (const result of [succeeded(first!.id), succeeded(second!.id)]) {
    const { results } = await poll(bob, { seen: first!.seq, results: [result] })
    expect(results).toEqual([{ lease: result.lease, accepted: false, code: 'task_finished' }])
  }
  expect(await read(alice, task.id)).toMatchObject({ provider: carol.address, output: { content: 'hello there' } })
})

test('late work of a lost attempt is accepted while nobody has done better, and the other is told to stop', async () => {
  const model = 'late'
  const alice = await requester()
  const [bob, carol] = [await provider([{ ...OFFER, model }]), await provider([{ ...OFFER, model }])]
  const task = await submit(alice, { ...CHAT, model })
  const [first] = (await poll(bob, { free: 1 })).leases
  await poll(bob, { seen: first!.seq })
  const [second] = (await poll(carol, { free: 1 })).leases
  const { results } = await poll(bob, { seen: first!.seq, results: [succeeded(first!.id, 'late but good')] })
  expect(results).toEqual([{ lease: first!.id, accepted: true }])
  expect((await poll(carol, { seen: second!.seq, renew: [second!.id] })).revoked).toContain(second!.id)
  expect((await read(alice, task.id)).attempts.map(({ state }) => state)).toEqual(['succeeded', 'superseded'])
})

test('an answer that got lost is told again', async () => {
  const model = 'lost-answer'
  const [alice, bob] = [await requester(), await provider([{ ...OFFER, model }])]
  await submit(alice, { ...CHAT, model })
  const first = await poll(bob, { free: 1 })
  const second = await poll(bob, { free: 0 })
  expect(second.leases.map(({ id }) => id)).toEqual(first.leases.map(({ id }) => id))
})

test('a poison task fails after its attempts, keeps each error, costs nothing and harms nobody', async () => {
  const model = 'poison'
  const alice = await requester()
  const bob = await provider([{ ...OFFER, model }])
  const task = await submit(alice, { ...CHAT, model, maxAttempts: 2 })
  const [first] = (await poll(bob, { free: 1 })).leases
  await poll(bob, { seen: first!.seq, results: [failed(first!.id, 'crashed_once')] })
  const [second] = (await poll(bob, { free: 1, seen: first!.seq, waitSeconds: 10 })).leases
  await poll(bob, { seen: second!.seq, results: [failed(second!.id, 'crashed_twice')] })
  const done = await read(alice, task.id)
  expect(done).toMatchObject({ status: 'failed', price: '0', error: { code: 'crashed_twice' } })
  expect(done.attempts.map(({ error }) => error?.code)).toEqual(['crashed_once', 'crashed_twice'])
  expect(await accountOf(alice)).toMatchObject({ free: '100', held: '0', spent: '0' })
  await runInDurableObject(market(), async (object: Market) => {
    const shown = object.snapshot().providers.find(({ address }) => address === bob.address)
    expect(shown).toMatchObject({ active: true, failed: 0 })
  })
})

test('an output that does not fit its kind fails the attempt and names the field', async () => {
  const model = 'malformed'
  const [alice, bob] = [await requester(), await provider([{ ...OFFER, model }])]
  const task = await submit(alice, { ...CHAT, model, maxAttempts: 1 })
  const [lease] = (await poll(bob, { free: 1 })).leases
  const outcome = { status: 'succeeded' as const, output: { content: 7 }, usage: { inputTokens: 1, outputTokens: 1 } }
  await poll(bob, { seen: lease!.seq, results: [{ lease: lease!.id, outcome }] })
  expect((await read(alice, task.id)).error).toMatchObject({
    code: 'invalid_output',
    message: expect.stringContaining('content'),
  })
})

test('a cancelled task costs nothing and its provider is told to stop', async () => {
  const model = 'cancelled'
  const [alice, bob] = [await requester(), await provider([{ ...OFFER, model }])]
  const task = await submit(alice, { ...CHAT, model })
  const [lease] = (await poll(bob, { free: 1 })).leases
  const { body } = await send<TaskView>('POST', `/v1/tasks/${task.id}/cancel`, alice)
  expect(body).toMatchObject({ status: 'cancelled', price: '0' })
  expect((await poll(bob, { seen: lease!.seq, renew: [lease!.id] })).revoked).toContain(lease!.id)
  expect(await accountOf(alice)).toMatchObject({ free: '100', held: '0' })
})

test('a market that is evicted in the middle comes back with everything', async () => {
  const model = 'evicted'
  const [alice, bob] = [await requester(), await provider([{ ...OFFER, model }])]
  const tasks = await Promise.all(Array.from({ length: 5 }, () => submit(alice, { ...CHAT, model })))
  const { leases } = await poll(bob, { free: 3 })
  const seen = Math.max(...leases.map(({ seq }) => seq))
  await poll(bob, { seen, results: [succeeded(leases[0]!.id)], renew: leases.slice(1).map(({ id }) => id) })
  const before = await books()

  await evictDurableObject(market())

  expect(await books()).toEqual(before)
  const { results } = await poll(bob, { seen, results: leases.map(({ id }) => succeeded(id)), free: 0 })
  // The first was accepted before; it counts as finished once it has gone to the archive, which the clock may have brought about.
  expect(results.map(({ accepted, code }) => accepted || code)).toEqual([
    expect.toBeOneOf([true, 'task_finished']),
    true,
    true,
  ])
  const { leases: rest } = await poll(bob, { seen, free: 5 })
  expect(rest).toHaveLength(2)
  await poll(bob, { seen: Math.max(...rest.map(({ seq }) => seq)), results: rest.map(({ id }) => succeeded(id)) })
  const ended = await Promise.all(tasks.map(({ id }) => read(alice, id)))
  expect(ended.map(({ status }) => status)).toEqual(tasks.map(() => 'succeeded'))
  const spent = ended.reduce((sum, { price }) => sum + parseAmount(price!), 0n)
  expect(parseAmount((await accountOf(alice)).spent)).toBe(spent)
})

test('effects reach accounts and history through the outbox, once', async () => {
  const model = 'settled'
  const [alice, bob] = [await requester(), await provider([{ ...OFFER, model }])]
  const task = await submit(alice, { ...CHAT, model })
  const [lease] = (await poll(bob, { free: 1 })).leases
  await poll(bob, { seen: lease!.seq, results: [succeeded(lease!.id)] })
  await settle()
  expect(await accountOf(bob)).toMatchObject({ earned: '0.00000594' })
  const { results } = await bindings.DB.prepare('select tasks from task_pages').all<{ tasks: string }>()
  const pages = results.flatMap(({ tasks }) => JSON.parse(tasks) as { id: string; status: string }[])
  expect(pages.filter(({ id }) => id === task.id)).toMatchObject([{ status: 'succeeded' }])
  expect(JSON.stringify(pages)).not.toContain('hello')
  await evictDurableObject(market())
  await settle()
  expect(await accountOf(bob)).toMatchObject({ earned: '0.00000594' })
  expect((await read(alice, task.id)).output).toMatchObject({ content: 'hello there' })
})

/** Runs the market's alarm until it has nothing left to do soon. */
async function settle(): Promise<void> {
  for (let rung = 0; rung < 80; rung++) {
    const at = await nextAlarm()
    if (at > Date.now() + 10_000) return
    await ring(at)
  }
}
