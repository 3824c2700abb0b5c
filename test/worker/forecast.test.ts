/** What is ahead, as the running Worker tells it: the clock is the cron's own, which the test moves on. */
import { createScheduledController, evictDurableObject } from 'cloudflare:test'
import { expect, test } from 'vitest'
import { ForecastRecord, ForecastView, TaskForecast } from '#core/protocol/forecast.ts'
import worker from '#worker/index.ts'
import { used } from '#worker/usage.ts'
import { bindings, CHAT, OFFER, provider, refused, requester, send, submit, work } from '../support/network.ts'

const MINUTE = 60_000
const BIN = 10 * MINUTE

const scheduled = (at: number) =>
  worker.scheduled(createScheduledController({ cron: '* * * * *', scheduledTime: new Date(at) }), bindings)

async function forecast(query = ''): Promise<ForecastView> {
  const { status, body } = await send('GET', `/v1/forecast${query}`)
  expect(status).toBe(200)
  return ForecastView.parse(body)
}

test('a network without anybody has nothing ahead, and says so', async () => {
  expect(await forecast()).toEqual({ at: expect.any(Number), from: null, classes: [], incidents: [] })
})

test('what is ahead of a class is told to anybody, and outlasts the market', async () => {
  const [alice, bob] = [
    await requester(),
    await provider([
      { ...OFFER, model: 'ahead' },
      { ...OFFER, model: 'unused' },
    ]),
  ]
  const start = Math.ceil(Date.now() / BIN) * BIN
  await scheduled(start)
  for (let n = 0; n < 3; n++) await work(alice, bob, 'ahead')
  await scheduled(start + BIN)

  const { from, classes } = await forecast()
  expect(from).toBe(start + BIN)
  const [ahead, unused] = classes
  expect(ahead).toMatchObject({
    kind: 'llm.chat',
    model: 'ahead',
    providers: 1,
    demand: { latest: 3, tenMinutes: { basis: 'early' }, hour: { basis: 'early' }, day: { basis: 'early' } },
    price: { unit: 'output token', latest: '0.000001', hour: { p50: '0.000001', basis: 'early' } },
    suggestedAsk: '0.000001',
    // By the clock that the test moved on, nobody has been heard of for minutes: there is no slot to earn.
    earnings: null,
    shortage: null,
    waitMs: { basis: 'early' },
    finishMs: { basis: 'early' },
  })
  const { p10, p50, p90 } = ahead!.demand!.hour
  expect([p10 < p50, p50, p90 > p50]).toEqual([true, 18, true])
  const nothing = {
    demand: null,
    price: null,
    suggestedAsk: null,
    earnings: null,
    shortage: null,
    waitMs: null,
    finishMs: null,
  }
  expect(unused).toEqual({ kind: 'llm.chat', model: 'unused', providers: 1, slots: unused!.slots, ...nothing })

  await evictDurableObject(bindings.MARKET.getByName('c1'))
  expect((await forecast('?model=ahead')).classes).toMatchObject([{ demand: ahead!.demand, price: ahead!.price }])
})

test('forty quiet spells later the forecast is learned, at a row each, and one more for who was there', async () => {
  const { from } = await forecast()
  await scheduled(from! + MINUTE)
  const before = used.market.rowsWritten
  for (let n = 1; n <= 45; n++) await scheduled(from! + n * BIN)
  expect(used.market.rowsWritten - before).toBe(2 * 45)
  const [ahead] = (await forecast('?kind=llm.chat&model=ahead')).classes
  expect(ahead!.demand).toMatchObject({ latest: 0, tenMinutes: { basis: 'learned' }, day: { basis: 'early' } })
  expect(ahead!.demand!.tenMinutes.p50).toBeLessThan(1)
  // No sale, no price: what was learned of it stays little.
  expect(ahead!.price).toMatchObject({ latest: '0.000001', hour: { basis: 'early' } })
})

test('what was said of past hours is told beside what came, with how often it held', async () => {
  const { status, body } = await send('GET', '/v1/forecast/record?model=ahead')
  expect(status).toBe(200)
  const { classes, calibration } = ForecastRecord.parse(body)
  expect(classes).toMatchObject([{ kind: 'llm.chat', model: 'ahead' }])
  expect(classes[0]!.demand.at(-2)).toMatchObject({ came: 0, p10: 0 })
  expect(calibration.find(({ of }) => of === 'demand_10min')!.count).toBeGreaterThan(3)
})

test('a task is told when it will start, to its requester alone', async () => {
  const [alice, eve] = [await requester(), await requester()]
  await provider([{ ...OFFER, model: 'ahead' }])
  const { id } = await submit(alice, { ...CHAT, model: 'ahead' })
  const told = await send('GET', `/v1/tasks/${id}/forecast`, alice)
  expect(told.status).toBe(200)
  expect(TaskForecast.parse(told.body).startMs).toMatchObject({ p50: expect.any(Number), basis: 'early' })
  refused(await send('GET', `/v1/tasks/${id}/forecast`, eve), 'task_not_found')
  await send('POST', `/v1/tasks/${id}/cancel`, alice)
  const over = TaskForecast.parse((await send('GET', `/v1/tasks/${id}/forecast`, alice)).body)
  expect(over).toMatchObject({ startMs: null, finishMs: null })
})

test('a question for no class of work is refused, and for one that nobody has is answered by none', async () => {
  refused(await send('GET', '/v1/forecast?kind=llm.dance'), 'invalid_request', '?kind')
  refused(await send('GET', '/v1/forecast?model='), 'invalid_request', '?model')
  expect((await forecast('?kind=doc.ocr')).classes).toEqual([])
  expect((await forecast('?model=unheard-of')).classes).toEqual([])
})
