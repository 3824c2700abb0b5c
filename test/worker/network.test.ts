import { createScheduledController, evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { expect, onTestFinished, test, vi } from 'vitest'
import { type CostView, PARTS, type Part, type Usage } from '#core/cost.ts'
import { formatAmount, parseAmount } from '#core/money.ts'
import type { DecisionList } from '#core/protocol/decision.ts'
import type { EdgeFrame, Poll } from '#core/protocol/lease.ts'
import type { ModelView } from '#core/protocol/model.ts'
import type { Minute, NetworkFrame, NetworkSnapshot } from '#core/protocol/network.ts'
import type { ReputationList, TaskRecord } from '#core/public-log.ts'
import worker from '#worker/index.ts'
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
  openSocket,
  poll,
  provider,
  read,
  refused,
  requester,
  send,
  submit,
  succeeded,
  work,
} from '../support/network.ts'

const snapshot = async () => (await send<NetworkSnapshot>('GET', '/v1/network')).body
const decisions = async () => (await send<DecisionList>('GET', '/v1/decisions')).body.decisions
const series = async (query = '') =>
  (await send<{ minutes: Minute[] }>('GET', `/v1/network/series${query}`)).body.minutes
const scheduled = (at = Date.now()) =>
  worker.scheduled(createScheduledController({ cron: '* * * * *', scheduledTime: new Date(at) }), bindings)

test('a network without anybody knows what it cannot know', async () => {
  const { metrics, status, minutes, latest, providers } = await snapshot()
  expect(metrics).toEqual({
    totalProviders: 0,
    activeProviders: 0,
    totalTasks: 0,
    averageReputation: null,
    healthScore: null,
  })
  expect(Object.values(status)).toEqual([0, 0, 0, 0, 0, 0, 0, 0])
  expect([minutes.length, latest, providers]).toEqual([60, [], []])
  expect(await decisions()).toEqual([])
})

test('the headline metrics are what their formulas make of a known set of tasks', async () => {
  const [alice, bob, carol] = [await requester(), await provider(), await provider([{ ...OFFER, model: 'other' }])]
  for (let i = 0; i < 3; i++) await work(alice, bob)
  const poison = await submit(alice, { ...CHAT, maxAttempts: 1 })
  const [lease] = (await poll(bob, { free: 1 })).leases
  await poll(bob, { seen: lease!.seq, results: [failed(lease!.id)] })
  const cancelled = await submit(alice)
  await send('POST', `/v1/tasks/${cancelled.id}/cancel`, alice)
  const held = await submit(alice, { ...CHAT, model: 'other' })
  await poll(carol, { free: 1 })
  const queued = await submit(alice)

  const { metrics, health, reputation, status, latest, matches, providers, minutes } = await snapshot()
  // Three successes of Bob; a poison task counts against nobody.
  const average = (4 / 5 + 1 / 2) / 2
  expect(metrics).toMatchObject({ totalProviders: 2, activeProviders: 2, totalTasks: 7 })
  expect(metrics.averageReputation).toBeCloseTo(average, 6)
  expect(reputation!.mean).toBeCloseTo(average, 6)
  expect(Object.fromEntries(health.map(({ name, value }) => [name, value]))).toEqual({
    success: 3 / 4,
    promptness: 1,
    supply: 1,
    reputation: expect.closeTo(average, 6),
  })
  expect(health.reduce((sum, { weight }) => sum + weight, 0)).toBeCloseTo(1)
  expect(metrics.healthScore).toBeCloseTo(100 * 0.75 ** 0.4 * average ** 0.2, 6)
  expect(status).toEqual({
    queued: 1,
    leased: 1,
    running: 0,
    succeeded: 3,
    failed: 1,
    cancelled: 1,
    expired: 0,
    verifying: 0,
  })
  expect(latest.slice(0, 4).map(({ id, status }) => [id, status])).toEqual([
    [queued.id, 'queued'],
    [held.id, 'leased'],
    [cancelled.id, 'cancelled'],
    [poison.id, 'failed'],
  ])
  expect(latest[4]).toMatchObject({ status: 'succeeded', provider: bob.address, price: '0.000006' })
  expect(JSON.stringify({ latest, providers })).not.toContain(alice.address)

  const told = await decisions()
  expect(told.map(({ task, provider, rule }) => [task, provider, rule])).toEqual([
    [held.id, carol.address, 'turn'],
    [poison.id, bob.address, 'turn'],
    ...latest.slice(4).map(({ id }) => [id, bob.address, 'turn']),
  ])
  expect(told[0]).toMatchObject({ attempt: 1, kind: 'llm.chat', model: 'other', others: [] })
  expect(matches.map(({ task }) => task)).toEqual(told.map(({ task }) => task))
  expect(JSON.stringify(told)).not.toContain(alice.address)
  const shown = providers.find(({ address }) => address === bob.address)
  expect(shown).toMatchObject({ active: true, busy: 0, succeeded: 3, failed: 0, earned: '0.00001782' })
  const sum = (count: (minute: Minute) => number) => minutes.reduce((total, minute) => total + count(minute), 0)
  expect([sum((m) => m.submitted), sum((m) => m.succeeded), sum((m) => m.failed)]).toEqual([7, 3, 1])
  expect(formatAmount(minutes.reduce((total, { volume }) => total + parseAmount(volume), 0n))).toBe('0.000018')

  expect(await books()).toMatchObject({ captured: '0.000018', earned: '0.00001782', fees: '0.00000018' })
  const { drawn, restored, held: holds, available, captured } = await books()
  const parts = [restored, holds, available, captured].reduce((total, part) => total + parseAmount(part), 0n)
  expect(parseAmount(drawn)).toBe(parts)
  expect(parseAmount(holds)).toBe(parseAmount(held.maxPrice) + parseAmount(queued.maxPrice))
  expect((await accountOf(alice)).spent).toBe('0.000018')
})

test('models are listed with who offers them, at the lowest ask', async () => {
  const embed = { kind: 'text.embed', model: 'pair', speed: 10 } as const
  await provider([{ ...embed, ask: '0.0000002', quantization: 'F16', digest: 'sha256:a', context: 512 }])
  await provider([{ ...embed, ask: '0.0000001', digest: 'sha256:b', capabilities: ['dimensions'], context: 256 }])
  const { body } = await send<{ object: string; data: ModelView[] }>('GET', '/v1/models')
  expect(body.object).toBe('list')
  expect(body.data.find(({ id }) => id === 'pair')).toEqual({
    id: 'pair',
    object: 'model',
    created: expect.any(Number),
    owned_by: 'daicn',
    kind: 'text.embed',
    providers: 2,
    ask: '0.0000001',
    price: { unit: 'token', least: '0.0000001', most: '0.0000002' },
    context: 512,
    quantizations: ['F16'],
    digests: ['sha256:a', 'sha256:b'],
    capabilities: ['dimensions'],
    speed: 10,
    latency: { waitP50Ms: null, waitP95Ms: null, runP50Ms: null, runP95Ms: null },
  })
  expect(body.data.map(({ id }) => id)).toEqual(body.data.map(({ id }) => id).toSorted())
})

/** Reads deltas until one shows it; each must follow the last. */
async function untilShown(
  next: () => Promise<NetworkFrame>,
  from: number,
  shows: (changes: Partial<NetworkSnapshot>) => boolean | undefined,
): Promise<number> {
  for (let seq = from + 1; ; seq++) {
    const frame = await next()
    expect(frame.seq).toBe(seq)
    if (frame.type === 'delta' && shows(frame.changes)) return seq
  }
}

test('the feed tells how the network stands, then within a second what changes', async () => {
  const feed = await openSocket<NetworkFrame>('/v1/network/socket')
  const first = (await feed.next()) as Extract<NetworkFrame, { type: 'snapshot' }>
  const { metrics, status } = first.snapshot
  expect(first.type).toBe('snapshot')
  expect(metrics).toEqual((await snapshot()).metrics)

  let seq = first.seq
  const within = async (shows: (changes: Partial<NetworkSnapshot>) => boolean | undefined) => {
    const at = Date.now()
    seq = await untilShown(feed.next, seq, shows)
    expect(Date.now() - at).toBeLessThan(1000)
  }
  const model = 'watched'
  const [alice, bob] = [await requester(), await provider([{ ...OFFER, model }])]
  await within(({ metrics: now }) => now?.totalProviders === metrics.totalProviders + 1)
  const { id } = await submit(alice, { ...CHAT, model })
  await within(({ metrics: now }) => now?.totalTasks === metrics.totalTasks + 1)
  const [lease] = (await poll(bob, { free: 1 })).leases
  await within(({ latest }) => latest?.some((task) => task.id === id && task.status === 'leased'))
  await poll(bob, { seen: lease!.seq, renew: [lease!.id] })
  await within(({ status: now }) => now?.running === status.running + 1)
  await poll(bob, { seen: lease!.seq, results: [succeeded(lease!.id)] })
  await within(({ status: now }) => now?.succeeded === status.succeeded + 1)

  const second = await openSocket<NetworkFrame>('/v1/network/socket')
  expect(await second.next()).toMatchObject({ seq, type: 'snapshot' })
  await submit(alice, { ...CHAT, model })
  expect(await second.next()).toMatchObject({ seq: seq + 1, type: 'delta' })
  expect(await feed.next()).toMatchObject({ seq: seq + 1, type: 'delta' })
  feed.send('ping')
  expect(await feed.next()).toBe('pong')
  feed.close()
  second.close()
})

test('a feed that lost its count shows a gap, and begins anew for who reconnects', async () => {
  const watcher = await openSocket<NetworkFrame>('/v1/network/socket')
  const { seq } = await watcher.next()
  await evictDurableObject(bindings.NETWORK_FEED.getByName('network'))
  await provider([{ ...OFFER, model: 'after-the-gap' }])
  expect((await watcher.next()).seq).not.toBe(seq + 1)
  watcher.close()
  const again = await openSocket<NetworkFrame>('/v1/network/socket')
  expect((await again.next()).type).toBe('snapshot')
  again.close()
})

test('a minute that is over reaches the history by cron, and saving it again changes nothing', async () => {
  const [alice, bob] = [await requester(), await provider([{ ...OFFER, model: 'counted' }])]
  const { id } = await work(alice, bob, 'counted')
  const begun = await series()
  const later = Date.now() + 60_000
  await scheduled(later)
  const kept = await series()
  expect(kept.length).toBeGreaterThan(begun.length)
  const { minutes, metrics } = await snapshot()
  const counted = minutes.filter(({ submitted }) => submitted > 0)
  expect(counted.length).toBeGreaterThan(0)
  for (const minute of counted) expect(kept).toContainEqual(expect.objectContaining(minute))
  expect(kept.map(({ at }) => at)).toEqual(kept.map(({ at }) => at).toSorted())
  expect(kept.at(-1)).toMatchObject({ totalProviders: metrics.totalProviders })
  await scheduled(later)
  expect(await series()).toEqual(kept)
  await evictDurableObject(market())
  await scheduled(later)
  expect(await series()).toEqual(kept)
  expect(await series(`?from=${kept.at(-1)!.at + 3_600_000}&to=${kept.at(-1)!.at + 7_200_000}`)).toEqual([])
  expect((await read(alice, id)).status).toBe('succeeded')
})

test.each(['from', 'to'])('a series whose %s is no time is refused', async (name) => {
  for (const value of ['', 'noon', '-1', '1.5', '1e400']) {
    refused(await send('GET', `/v1/network/series?${name}=${value}`), 'invalid_request', `?${name}`)
  }
})

test('why a task went to whom it went outlives the market that gave it out, and is told to its requester and the public log', async () => {
  const model = 'reasons'
  const [alice, bob, carol] = [
    await requester(),
    await provider([{ ...OFFER, model }]),
    await provider([{ ...OFFER, model, ask: '0.000002' }]),
  ]
  await Promise.all([poll(bob, { free: 0 }), poll(carol, { free: 0 })])
  const { id } = await submit(alice, { ...CHAT, model })
  await evictDurableObject(market())
  const [lease] = (await poll(bob, { free: 1 })).leases
  await evictDurableObject(market())
  await poll(bob, { seen: lease!.seq, results: [succeeded(lease!.id)] })
  await evictDurableObject(market())
  const { body } = await send<DecisionList>('GET', `/v1/tasks/${id}/decisions`, alice)
  expect(body.decisions).toMatchObject([{ task: id, attempt: 1, rule: 'turn', provider: bob.address }])
  await scheduled()
  const { merit, preference, rule } = body.decisions[0]!
  const { results } = await bindings.DB.prepare('select tasks from task_pages where tasks like ?').bind(`%${id}%`).all()
  const records = JSON.parse(results[0]!.tasks as string) as TaskRecord[]
  expect(records.find((record) => record.id === id)!.attempts).toMatchObject([
    { decision: { merit, preference, rule } },
  ])
})

test('nothing is decided by the history: without its rows all goes on', async () => {
  const model = 'without-history'
  const [alice, bob] = [await requester(), await provider([{ ...OFFER, model }])]
  const first = await work(alice, bob, model)
  await scheduled()
  const before = [await snapshot().then(({ metrics }) => metrics), await books(), await accountOf(alice)]
  await bindings.DB.batch([bindings.DB.prepare('delete from minutes'), bindings.DB.prepare('delete from task_pages')])
  await evictDurableObject(market())
  expect([await snapshot().then(({ metrics }) => metrics), await books(), await accountOf(alice)]).toEqual(before)
  expect((await read(alice, first.id)).output).toMatchObject({ content: 'hello there' })
  expect((await read(alice, (await work(alice, bob, model)).id)).status).toBe('succeeded')
})

test('a history that fails harms no task, and is told everything once it is back', async () => {
  const model = 'history-fails'
  const [alice, bob] = [await requester(), await provider([{ ...OFFER, model }])]
  await alarmsUntil(async () => (await unexported()) === 0 && (await pagesWith('')) > 0)
  await bindings.DB.exec('alter table task_pages rename to task_pages_away')
  const { id } = await work(alice, bob, model)
  await alarmsUntil(async () => (await unexported()) > 0)
  expect(await read(alice, id)).toMatchObject({ status: 'succeeded', price: '0.000006' })
  expect((await accountOf(bob)).earned).toBe('0.00000594')
  await bindings.DB.exec('alter table task_pages_away rename to task_pages')
  await alarmsUntil(async () => (await unexported()) === 0)
  expect(await pagesWith(id)).toBe(1)
})

const unexported = () =>
  runInDurableObject(
    market(),
    (_: Market, { storage }) => storage.sql.exec('select id from archive where exported = 0').toArray().length,
  )

async function pagesWith(text: string): Promise<number> {
  const { results } = await bindings.DB.prepare('select tasks from task_pages').all<{ tasks: string }>()
  return results.filter(({ tasks }) => tasks.includes(text)).length
}

/** Runs the market's alarm each time it is due, until the condition holds. */
async function alarmsUntil(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await ring(await nextAlarm())
}

/** Of a task, by itself and in a batch of 100: calls, messages, alarms and rows. What is not here is nothing. */
const COSTS: Record<'single' | 'batch', Partial<Record<Part, Partial<Usage>>>> = {
  single: { worker: { requests: 1 }, market: { requests: 2, messages: 1, rowsWritten: 2 } },
  batch: { worker: { requests: 0.01 }, market: { requests: 0.02, messages: 0.01, rowsWritten: 0.02 } },
}
const COUNTS = ['requests', 'messages', 'alarms', 'rowsRead', 'rowsWritten'] as const

test('a task costs what is written down here, and at most a tenth more', async () => {
  const [alice, bob] = [await requester(), await provider([{ ...OFFER, model: 'costed' }])]
  const socket = await openSocket<EdgeFrame>('/v1/provider/socket', bob)
  const answer = async () => (await socket.next()) as Extract<EdgeFrame, { type: 'answer' }>
  const tell = async (frame: Partial<Poll>) => {
    socket.send({ type: 'poll', free: 100, ...frame })
    await answer()
  }
  const workOn = async (tasks: number) => {
    const body = Array.from({ length: tasks }, () => ({ ...CHAT, model: 'costed' }))
    const submitted = send('POST', '/v1/tasks?waitSeconds=20', { ...alice, body: tasks === 1 ? body[0] : body })
    const { leases } = await answer()
    await tell({ seen: leases.at(-1)!.seq, results: leases.map(({ id }) => succeeded(id)) })
    expect((await submitted).status).toBe(201)
  }
  await tell({})
  // What is written behind earlier tasks may fall into a round, but not into each of three.
  const least = async (calls: number, tasks: number) => {
    const costs: Awaited<ReturnType<typeof costOf>>[] = []
    for (let round = 0; round < 3; round++) {
      costs.push(
        await costOf(async () => {
          for (let call = 0; call < calls; call++) await workOn(tasks)
        }),
      )
    }
    return (part: Part, count: keyof Usage) => Math.min(...costs.map((cost) => cost(part, count)))
  }
  for (const [how, cost] of [['single', await least(20, 1)] as const, ['batch', await least(1, 100)] as const]) {
    for (const part of PARTS) {
      for (const count of COUNTS) {
        const written = COSTS[how][part]?.[count] ?? 0
        expect([how, part, count, cost(part, count)]).toSatisfy(([, , , value]) => value <= written * 1.1 + 1e-9)
      }
    }
  }
  socket.close()
})

/** What each task that ended meanwhile cost, but for the calls that ask. */
async function costOf(work: () => Promise<void>): Promise<(part: Part, count: keyof Usage) => number> {
  const read = async () => (await send<CostView>('GET', '/v1/network/cost')).body
  const before = await read()
  await work()
  const after = await read()
  return (part, count) => {
    const [from, to] = [before, after].map(({ parts }) => parts.find((one) => one.part === part)![count])
    const asked = count === 'requests' && (part === 'worker' || part === 'market') ? 1 : 0
    return (to! - from! - asked) / (after.tasks - before.tasks)
  }
}

test('the edge is away for ten minutes with 500 leases out: none is lost, nobody is marked, all work is paid once', async () => {
  const [model, each] = ['ten-minutes', 100]
  const offers = [{ ...OFFER, model }]
  const [alice, crew] = [await requester(), await Promise.all(Array.from({ length: 5 }, () => provider(offers, each)))]
  const tasks = Array.from({ length: crew.length * each }, () => ({ ...CHAT, model, deadlineSeconds: 60 }))
  await send('POST', '/v1/tasks', { token: alice.token, body: tasks })
  const held = await Promise.all(crew.map(async (who) => ({ who, ...(await poll(who, { free: each })) })))
  expect(held.map(({ leases }) => leases.length)).toEqual(crew.map(() => each))

  await evictDurableObject(market())
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 600_000 })
  onTestFinished(() => void vi.useRealTimers())
  const bring = async ({ who, leases }: (typeof held)[number]) =>
    (await poll(who, { seen: each, results: leases.map(({ id }) => succeeded(id)) })).results
  for (const one of held) expect((await bring(one)).filter(({ accepted }) => !accepted)).toEqual([])
  // And again, as by agents that did not hear the answer; what the archive has by then is over.
  for (const one of held) {
    expect((await bring(one)).filter(({ accepted, code }) => !accepted && code !== 'task_finished')).toEqual([])
  }
  const { body } = await send<ReputationList>('GET', '/v1/reputations')
  const known = body.reputations.filter((view) => view.model === model)
  expect(known.map(({ outcomes, failures }) => [outcomes, failures])).toEqual(crew.map(() => [each, 0]))
  expect(await accountOf(alice)).toMatchObject({ held: '0', spent: '0.003' })
})
