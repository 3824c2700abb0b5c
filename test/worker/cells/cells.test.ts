/** A market of four cells: to those who use it, one. */
import { expect, test } from 'vitest'
import type { BatchView } from '#core/batch.ts'
import type { ProviderList, ProviderView } from '#core/directory.ts'
import { formatAmount, parseAmount } from '#core/money.ts'
import type { AccountView } from '#core/protocol/account.ts'
import type { DecisionList } from '#core/protocol/decision.ts'
import type { EdgeFrame, Poll } from '#core/protocol/lease.ts'
import type { ModelView } from '#core/protocol/model.ts'
import type { NetworkFrame, NetworkSnapshot } from '#core/protocol/network.ts'
import { type Offer, Register } from '#core/protocol/provider.ts'
import type { Quote } from '#core/protocol/quote.ts'
import type { TaskView } from '#core/protocol/task.ts'
import { parseTaskId } from '#core/task-id.ts'
import {
  accountOf,
  bindings,
  books,
  CHAT,
  OFFER,
  openSocket,
  type Person,
  person,
  poll,
  read,
  refused,
  requester,
  send,
  submit,
  succeeded,
} from '../../support/network.ts'

const CELLS = ['c1', 'c2', 'c3', 'c4']
let models = 0

type Homed = Person & { cell: string }

const registration = (model: string, over: Partial<Offer> = {}) => ({
  slots: 8,
  offers: [{ ...OFFER, model, ...over }],
})

/** A provider that registers, and where it is at home from then on. */
async function provider(model: string, who?: Person): Promise<Homed> {
  const { address, token } = who ?? (await person())
  const { body } = await send<{ cell: string }>('POST', '/v1/provider/register', { token, body: registration(model) })
  return { address, token, cell: body.cell }
}

/** A provider that is at home in this cell, whatever it offers: as if it had come when others offered the same there. */
async function providerIn(cell: string, model: string, over: Partial<Offer> = {}): Promise<Homed> {
  const who = await person()
  await bindings.MARKET.getByName(cell).register(who.address, Register.parse(registration(model, over)))
  return { ...who, cell }
}

/** Providers of a model of their own, each in another cell. */
async function apart(count: number, over: Partial<Offer> = {}) {
  const model = `cells-${models++}`
  const providers: Homed[] = []
  for (const cell of CELLS.slice(0, count)) providers.push(await providerIn(cell, model, over))
  return { model, providers: providers as [Homed, Homed, ...Homed[]] }
}

const cellOf = ({ id }: { id: string }): string => parseTaskId(id)!.cell

/** Does the tasks that are given to it. @returns their ids */
async function work(bob: Person, free = 8, waitSeconds = 0): Promise<string[]> {
  const { leases } = await poll(bob, { free, waitSeconds })
  const seen = leases.at(-1)?.seq ?? 0
  await poll(bob, { free, seen, results: leases.map(({ id }) => succeeded(id)) })
  return leases.map(({ id }) => id.split('.')[0]!)
}

const idempotently = (who: { token: string }, key: string, task: object) =>
  send<TaskView>('POST', '/v1/tasks', { token: who.token, body: task, headers: { 'idempotency-key': key } })

test('those who offer the same are together, others elsewhere, and each stays where it is at home', async () => {
  const together = await Promise.all([provider('first'), provider('first')])
  const third = await provider('first')
  expect(new Set([...together, third].map(({ cell }) => cell)).size).toBe(1)
  const others = [await provider('second'), await provider('third'), await provider('fourth')]
  expect([third, ...others].map(({ cell }) => cell).sort()).toEqual(CELLS)
  // What it offers changes; where it is at home does not.
  expect((await provider('second', third)).cell).toBe(third.cell)
  expect((await provider('fourth', third)).cell).toBe(third.cell)
})

test('a provider that registers many times at once is at home in one cell', async () => {
  const who = await person()
  const all = await Promise.all(Array.from({ length: 20 }, (_, i) => provider(`at-once-${i}`, who)))
  expect(new Set(all.map(({ cell }) => cell)).size).toBe(1)
  const known = await Promise.all(CELLS.map((cell) => bindings.MARKET.getByName(cell).isHomeOf(who.address)))
  expect(known.filter((is) => is)).toHaveLength(1)
})

test('a task goes to a cell where somebody can run it, and is read, watched and cancelled there', async () => {
  const alice = await requester()
  const { model, providers } = await apart(2)
  const [bob, carol] = providers
  const tasks = await Promise.all(Array.from({ length: 40 }, () => submit(alice, { ...CHAT, model })))
  const split = Map.groupBy(tasks, cellOf)
  expect([...split.keys()].sort()).toEqual([bob.cell, carol.cell].sort())
  const last = tasks.at(-1)!
  await send('POST', `/v1/tasks/${last.id}/cancel`, alice)
  for (const one of [bob, carol]) while ((await work(one)).length > 0);
  const ended = await Promise.all(tasks.map(({ id }) => read(alice, id)))
  expect(ended.filter(({ status }) => status === 'succeeded')).toHaveLength(39)
  expect(ended.at(-1)!.status).toBe('cancelled')
  const list = await send<{ tasks: TaskView[] }>('GET', '/v1/tasks', alice)
  expect(list.body.tasks).toHaveLength(40)
})

test('work is pushed to a socket in its own cell, also for somebody who came a moment ago', async () => {
  const alice = await requester()
  const { model, providers } = await apart(1)
  const socket = await openSocket<EdgeFrame>('/v1/provider/socket', providers[0])
  socket.send({ type: 'poll', free: 1, seen: 0, results: [], renew: [] } satisfies Partial<Poll> & { type: 'poll' })
  await socket.next()
  const task = await submit(alice, { ...CHAT, model })
  const pushed = (await socket.next()) as Extract<EdgeFrame, { type: 'answer' }>
  expect(pushed.leases.map(({ id }) => id.startsWith(task.id))).toEqual([true])
  socket.close()
})

test('terms that not every provider meets lead to a cell with one that does', async () => {
  const alice = await requester()
  const { model, providers } = await apart(2)
  const [bob, carol] = providers
  const long = { ...OFFER, model, context: 32_768 }
  await send('POST', '/v1/provider/register', { token: carol.token, body: { slots: 8, offers: [long] } })
  for (let i = 0; i < 5; i++) {
    const task = await submit(alice, { ...CHAT, model, requirements: { minContext: 16_384 } } as never)
    expect(cellOf(task)).toBe(carol.cell)
    const named = await submit(alice, { ...CHAT, model, requirements: { provider: bob.address } } as never)
    expect(cellOf(named)).toBe(bob.cell)
  }
  // Two must agree, and only one cell has two.
  await providerIn(bob.cell, model)
  const greedy = {
    ...CHAT,
    model,
    input: { ...CHAT.input, temperature: 0 },
    assurance: { level: 'quorum', n: 2, k: 2 },
  }
  expect(cellOf(await submit(alice, greedy as never))).toBe(bob.cell)
  const { body } = await send<Quote>('POST', '/v1/quote', { token: alice.token, body: greedy })
  expect(body).toMatchObject({ candidates: 2, assurance: { enough: true } })
})

test('the same submission many times at once is one task and one charge, in whatever cell', async () => {
  const alice = await requester()
  const { model, providers } = await apart(4)
  const task = { ...CHAT, model }
  const answers = await Promise.all(Array.from({ length: 100 }, () => idempotently(alice, 'once', task)))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]))
  expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1)
  for (const one of providers) await work(one)
  const { spent, held } = await accountOf(alice)
  expect([spent, held]).toEqual([(await read(alice, answers[0]!.body.id)).price, '0'])
  const other = await idempotently(alice, 'once', { ...task, input: { ...CHAT.input, max_tokens: 9 } })
  refused(other, 'idempotency_conflict')
})

test('a key that was refused in one cell is good in another', async () => {
  const alice = await requester()
  const model = `cells-${models++}`
  refused(await idempotently(alice, 'later', { ...CHAT, model }), 'unknown_model', '/model')
  const bob = await providerIn('c3', model)
  const { status, body } = await idempotently(alice, 'later', { ...CHAT, model })
  expect([status, cellOf(body)]).toEqual([201, bob.cell])
})

test('what one cell has drawn and does not hold can be spent in another', async () => {
  const alice = await requester()
  const { model, providers } = await apart(2)
  const [bob, carol] = providers
  const key = (
    await send<{ key: string }>('POST', '/v1/keys', { token: alice.session, body: { name: 'small', budget: '1' } })
  ).body.key
  const small = { token: key }
  const at = (one: Homed, maxPrice: string) =>
    submit(small, { ...CHAT, model, maxPrice, requirements: { provider: one.address } } as never)
  await at(bob, '0.1')
  await work(bob)
  const left = await send<{ code: string }>('POST', '/v1/tasks', {
    token: key,
    body: { ...CHAT, model, maxPrice: '0.99', requirements: { provider: carol.address } },
  })
  expect(left.status).toBe(201)
  // More than the budget is not there, in no cell.
  refused(
    await send('POST', '/v1/tasks', {
      token: key,
      body: { ...CHAT, model, maxPrice: '0.2', requirements: { provider: bob.address } },
    }),
    'insufficient_funds',
  )
  await work(carol)
  const { free, held, spent, deposited }: AccountView = await accountOf(alice)
  const sum = [free, held, spent].map(parseAmount).reduce((x, y) => x + y)
  expect(formatAmount(sum)).toBe(deposited)
  const { drawn, restored, held: holds, available, captured, earned, fees } = await books()
  const amounts = [restored, holds, available, captured].map((amount) => parseAmount(amount!))
  expect(amounts.reduce((x, y) => x + y)).toBe(parseAmount(drawn!))
  expect(parseAmount(earned!) + parseAmount(fees!)).toBe(parseAmount(captured!))
})

test('a batch of requests is done across cells', async () => {
  const alice = await requester()
  const { model, providers } = await apart(3)
  const lines = Array.from({ length: 30 }, (_, i) => ({
    custom_id: `line-${i}`,
    method: 'POST',
    url: '/v1/chat/completions',
    body: { model, messages: [{ role: 'user', content: `say ${i}` }], max_tokens: 8 },
  }))
  const form = new FormData()
  form.set('purpose', 'batch')
  form.set('file', new File([lines.map((line) => JSON.stringify(line)).join('\n')], 'requests.jsonl'))
  const encoded = new Response(form)
  const { body: file } = await send<{ id: string }>('POST', '/v1/files', {
    token: alice.token,
    raw: await encoded.arrayBuffer(),
    headers: { 'content-type': encoded.headers.get('content-type')! },
  })
  const { body: batch } = await send<{ id: string }>('POST', '/v1/batches', {
    token: alice.token,
    body: { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' },
  })
  let done = { status: '', completed: 0 }
  while (done.status !== 'completed') {
    for (const one of providers) await work(one, 8, 0.1)
    const { body } = await send<BatchView>('GET', `/v1/batches/${batch.id}`, alice)
    done = { status: body.status, completed: body.request_counts.completed }
    expect(['validating', 'in_progress', 'finalizing', 'completed']).toContain(done.status)
  }
  expect(done.completed).toBe(30)
})

test('the network shows all of its cells as one', async () => {
  const { model, providers } = await apart(4, { ask: '0.000002' })
  const alice = await requester()
  for (const one of providers) {
    await submit(alice, { ...CHAT, model, requirements: { provider: one.address } } as never)
    await work(one)
  }
  const parts = await Promise.all(CELLS.map((cell) => bindings.MARKET.getByName(cell).snapshot()))
  const { body } = await send<NetworkSnapshot>('GET', '/v1/network')
  const sum = (of: (part: NetworkSnapshot) => number) =>
    parts.map((part) => of(part as NetworkSnapshot)).reduce((x, y) => x + y)
  expect(body.metrics).toMatchObject({
    totalProviders: sum(({ metrics }) => metrics.totalProviders),
    activeProviders: sum(({ metrics }) => metrics.activeProviders),
    totalTasks: sum(({ metrics }) => metrics.totalTasks),
  })
  expect(body.status.succeeded).toBe(sum(({ status }) => status.succeeded))
  expect(body.minutes).toHaveLength(60)
  expect(body.minutes.reduce((all, { succeeded }) => all + succeeded, 0)).toBe(body.status.succeeded)
  // Each cell's own average, by how many providers it is of.
  const mean =
    sum(({ metrics, health }) => metrics.averageReputation! * health.at(-1)!.of) /
    sum(({ health }) => health.at(-1)!.of)
  expect(body.metrics.averageReputation).toBeCloseTo(mean, 12)

  const { providers: listed } = (await send<ProviderList>('GET', '/v1/providers')).body
  for (const one of providers) {
    const view = (await send<ProviderView>('GET', `/v1/providers/${one.address}`)).body
    expect(listed[view.rank - 1]!.address).toBe(one.address)
  }
  const { data } = (await send<{ data: ModelView[] }>('GET', '/v1/models')).body
  expect(data.filter(({ id }) => id === model)).toMatchObject([{ providers: 4, ask: '0.000002' }])
  const { decisions } = (await send<DecisionList>('GET', '/v1/decisions')).body
  expect(new Set(decisions.filter((one) => one.model === model).map(({ task }) => cellOf({ id: task }))).size).toBe(4)
  const { body: forecast } = await send<{ classes: { model: string; providers: number; slots: number }[] }>(
    'GET',
    `/v1/forecast?model=${model}`,
  )
  expect(forecast.classes).toMatchObject([{ model, providers: 4, slots: 32 }])
})

test('who watches the network hears of every cell', async () => {
  const { model, providers } = await apart(2)
  const alice = await requester()
  const watcher = await openSocket<NetworkFrame>('/v1/network/socket')
  const first = await watcher.next()
  if (first.type !== 'snapshot') throw new Error('a snapshot comes first')
  let { snapshot, seq } = { snapshot: first.snapshot, seq: first.seq }
  const before = snapshot.metrics.totalTasks
  for (const one of providers) {
    await submit(alice, { ...CHAT, model, requirements: { provider: one.address } } as never)
    await work(one)
  }
  while (snapshot.status.succeeded < first.snapshot.status.succeeded + 2) {
    const frame = await watcher.next()
    if (frame.type !== 'delta') throw new Error('deltas come after it')
    expect(frame.seq).toBe(++seq)
    snapshot = { ...snapshot, ...frame.changes }
  }
  expect(snapshot.metrics.totalTasks).toBe(before + 2)
  watcher.close()
})
