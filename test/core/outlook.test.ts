/** What a market says is ahead of its classes, beside what it was given. */
import { expect, test } from 'vitest'
import { apply, type Book, type BookEvent, createBook, type Provider, record } from '#core/book.ts'
import { BIN_MS } from '#core/forecast/history.ts'
import { forecastRecord } from '#core/forecast-record.ts'
import { isBinOver } from '#core/outlook.ts'
import { forecastView, suppliesOf } from '#core/outlook-view.ts'
import { quote } from '#core/quote.ts'
import { headOf, partsOf, restore } from '#core/snapshot.ts'
import { taskForecast } from '#core/task-forecast.ts'
import { leasesAfter } from '#core/views.ts'
import { join, openBook, order, request, requesterOf, say, succeeded, T0 } from '../support/book.ts'
import { durable } from '../support/durable.ts'
import { mulberry32 } from '../support/random.ts'

const CLASS = { kind: 'text.embed', model: 'm' } as const

/** What the clock does every minute; here only when a bin began. */
function rollUp(book: Book, now: number): void {
  if (isBinOver(book, now)) record(book, { type: 'binned', at: now, supplies: suppliesOf(book, now) })
}

const forecast = (book: Book, now: number) => forecastView(book, CLASS, now).classes[0]!

/** Everything the provider holds is done after `runMs`. */
function finish(book: Book, provider: Provider, now: number): void {
  const results = leasesAfter(book, provider, 0).map(({ id }) => succeeded(id))
  say(book, provider, { seen: provider.lastSeq, results, free: provider.registration.slots }, now)
}

/** Ten minutes each, from the first: so many tasks of a second, evenly spread. Keeps the provider there. */
function work(book: Book, provider: Provider, from: number, counts: number[]): number {
  for (const [i, count] of counts.entries()) {
    const start = from + i * BIN_MS
    rollUp(book, start)
    for (let n = 0; n < count; n++) {
      const at = start + Math.floor(((n + 0.5) / count) * BIN_MS)
      order(book, 1, [request()], at)
      finish(book, provider, at + 1000)
    }
  }
  const end = from + counts.length * BIN_MS
  rollUp(book, end)
  say(book, provider, { free: 4 }, end)
  return end
}

const steady = (bins: number, count = 12) => new Array<number>(bins).fill(count)

test('of a class that nobody has used nothing is known', () => {
  const book = openBook()
  join(book, 1, T0)
  rollUp(book, T0)
  expect(forecastView(book, {}, T0)).toEqual({
    at: T0,
    from: T0,
    classes: [
      {
        ...CLASS,
        providers: 1,
        slots: 4,
        demand: null,
        price: null,
        suggestedAsk: null,
        earnings: null,
        shortage: null,
        waitMs: null,
        finishMs: null,
      },
    ],
    incidents: [],
  })
  order(book, 1, [request()], T0)
  expect(forecast(book, T0)).toMatchObject({ demand: null, price: null, finishMs: null })
})

test('steady demand and a steady price are said to go on, first with reserve and then by what was learned', () => {
  const book = openBook()
  const provider = join(book, 1, T0, { free: 4 })
  const soon = work(book, provider, T0, steady(2))
  const early = forecast(book, soon)
  expect(early.demand).toMatchObject({ latest: 12, tenMinutes: { basis: 'early' }, day: { basis: 'early' } })
  expect(early.demand!.hour.p90).toBeGreaterThan(100)

  const now = work(book, provider, soon, steady(46))
  const { providers, demand, price, waitMs, finishMs } = forecast(book, now)
  expect(providers).toBe(1)
  for (const [said, exact] of [
    [demand!.tenMinutes, 12],
    [demand!.hour, 72],
    [demand!.day, 1728],
  ] as const) {
    expect(said.p50).toBeCloseTo(exact, 0)
    expect(said.p10).toBeLessThanOrEqual(said.p50)
    expect(said.p90).toBeGreaterThanOrEqual(said.p50)
  }
  expect([demand!.tenMinutes.basis, demand!.hour.basis, demand!.day.basis]).toEqual(['learned', 'learned', 'early'])
  // An ask of a hundred base units.
  expect(price).toMatchObject({ unit: 'token', latest: '0.0000000000000001', hour: { basis: 'learned' } })
  expect(Number(price!.hour.p50)).toBeCloseTo(1e-16, 18)
  expect(waitMs).toMatchObject({ basis: 'learned' })
  expect(waitMs!.p90).toBeLessThan(10)
  expect(finishMs!.p50).toBeCloseTo(1000, -1)
  expect(forecastView(book, { model: 'other' }, now).classes).toEqual([])
})

test('bins in which nothing came count as zero, and have no price', () => {
  const book = openBook()
  const provider = join(book, 1, T0, { free: 4 })
  const now = work(book, provider, T0, [...steady(40), ...steady(40, 0)])
  const { demand, price } = forecast(book, now)
  expect(demand!.latest).toBe(0)
  expect(demand!.tenMinutes.p50).toBeLessThan(1)
  expect(price!.latest).toBe('0.0000000000000001')
})

test('what came while roll-ups were missing is not taken for ten minutes', () => {
  const book = openBook()
  const provider = join(book, 1, T0, { free: 4 })
  const before = work(book, provider, T0, steady(20))
  order(
    book,
    1,
    Array.from({ length: 100 }, () => request()),
    before,
  )
  const now = work(book, provider, before + 5 * BIN_MS, steady(1))
  const { demand } = forecast(book, now)
  expect(demand!.latest).toBe(12)
  expect(demand!.tenMinutes.p90).toBeLessThan(40)
})

test('a roll-up that comes late by a minute changes no rate', () => {
  const book = openBook()
  const provider = join(book, 1, T0, { free: 4 })
  work(book, provider, T0, steady(1, 0))
  for (let n = 0; n < 22; n++) order(book, 1, [request()], T0 + BIN_MS + n * 30_000)
  finish(book, provider, T0 + 2 * BIN_MS)
  rollUp(book, T0 + 2 * BIN_MS + 60_000)
  expect(forecast(book, T0 + 2 * BIN_MS + 60_000).demand!.latest).toBeCloseTo(20, 6)
})

test('where nobody is there, no wait is promised', () => {
  const book = openBook()
  const provider = join(book, 1, T0, { free: 4 })
  const now = work(book, provider, T0, steady(3))
  provider.reachable = false
  expect(forecast(book, now + 3_600_000)).toMatchObject({ providers: 0, waitMs: null, finishMs: null })
})

test('a class without a task for a week is forgotten', () => {
  const book = openBook()
  const provider = join(book, 1, T0, { free: 4 })
  const end = work(book, provider, T0, steady(2))
  work(book, provider, end, steady(1007, 0))
  expect(book.outlooks.size).toBe(1)
  const now = work(book, provider, end + 1007 * BIN_MS, steady(2, 0))
  expect(book.outlooks.size).toBe(0)
  expect(forecast(book, now)).toMatchObject({ demand: null })
})

test('what was learned comes back from the journal, and from a snapshot and what follows it', () => {
  const book = openBook()
  const provider = join(book, 1, T0, { free: 4 })
  const half = work(book, provider, T0, steady(5))
  const events: BookEvent[] = book.log.splice(0)
  const written = structuredClone({ head: headOf(book), parts: [...partsOf(book)] })
  const now = work(book, provider, half, steady(5, 7))
  const fromSnapshot = restore(written.head, written.parts, half)
  for (const event of structuredClone(book.log)) apply(fromSnapshot, event)
  const fromStart = createBook('c1')
  fromStart.classes.add('text.embed m')
  for (const event of structuredClone([...events, ...book.log])) apply(fromStart, event)
  expect(durable(book).outlooks).toHaveLength(1)
  for (const other of [fromSnapshot, fromStart]) {
    expect(durable(other).outlooks).toEqual(durable(book).outlooks)
    const { demand, price } = forecast(book, now)
    expect(forecast(other, now)).toMatchObject({ demand, price })
  }
})

test('of a flood only a few tasks are looked at closely, and they are let go when they end', () => {
  const book = openBook()
  const provider = join(book, 1, T0, { slots: 1, free: 1 })
  for (let n = 0; n < 2000; n++) order(book, 1, [request()], T0 + n * 10)
  const { followed } = book.outlooks.get('text.embed m')!
  expect(followed.size).toBe(16)
  for (let n = 0; n < 2000; n++) finish(book, provider, T0 + 20_000 + n)
  expect(book.tasks.size).toBe(0)
  expect(followed.size).toBe(0)
})

/** One provider that is nearly always busy; tasks take about 0.3 s each. */
function queue(tasks: number): { book: Book; now: number; quoted: { p50Ms: number; p90Ms: number; waitMs: number }[] } {
  const random = mulberry32(7)
  const exponential = (mean: number) => Math.ceil(-mean * Math.log(1 - random()))
  const book = openBook([1, 2])
  const provider = join(book, 1, T0, { slots: 1, free: 1 })
  const said = new Map<string, { p50Ms: number; p90Ms: number }>()
  const quoted = []
  let now = T0
  let freeAt = T0
  for (let n = 0; n < tasks; n++) {
    now += exponential(345)
    while (freeAt <= now && provider.leases.size > 0) {
      finish(book, provider, freeAt)
      for (const { task } of provider.leases.values()) {
        const { createdAt } = book.tasks.get(task)!.task.spec
        const wait = said.get(task)
        if (wait) quoted.push({ ...wait, waitMs: freeAt - createdAt })
      }
      freeAt += exponential(300)
    }
    const idle = provider.leases.size === 0
    const { wait } = quote(book, requesterOf(1), request(), now)
    const [id] = order(book, 1, [request({ deadlineMs: 86_400_000 })], now) as [string]
    if (idle) freeAt = now + exponential(300)
    else if (wait.basis === 'learned') said.set(id, { p50Ms: wait.p50Ms!, p90Ms: wait.p90Ms! })
  }
  return { book, now, quoted }
}

test('a quote tells the wait that the class has taught, and nine tasks of ten start within its p90', () => {
  const { book, now, quoted } = queue(3000)
  expect(quoted.length).toBeGreaterThan(500)
  const share = (within: (one: (typeof quoted)[number]) => boolean) => quoted.filter(within).length / quoted.length
  expect(share(({ waitMs, p90Ms }) => waitMs <= p90Ms)).toBeGreaterThan(0.87)
  expect(share(({ waitMs, p90Ms }) => waitMs <= p90Ms)).toBeLessThan(0.93)
  expect(share(({ waitMs, p50Ms }) => waitMs <= p50Ms)).toBeGreaterThan(0.4)

  order(book, 2, [request(), request()], now)
  const { wait, finish } = quote(book, requesterOf(1), request(), now)
  expect(wait).toMatchObject({ basis: 'learned', free: 0 })
  expect(finish!.p50Ms).toBeGreaterThan(wait.p50Ms!)
  // Of what a task asks for beyond its class, the class has taught nothing.
  const choosy = quote(book, requesterOf(1), request({ region: 'weur' }), now)
  expect(choosy).toMatchObject({ wait: { basis: 'formula' }, finish: null })
})

test('what a slot earns in an hour is learned, and what was said of each hour is shown beside what came', () => {
  const book = openBook()
  const provider = join(book, 1, T0, { free: 4 })
  const now = work(book, provider, T0, steady(60))
  // Six times twelve tasks of two units at a hundred base units, by four slots.
  const { earnings } = forecast(book, now)
  expect(Number(earnings!.latest)).toBeCloseTo(((6 * 12 * 2 * 100) / 4) * 1e-18, 20)
  expect(earnings!.hour.basis).toBe('learned')
  const { classes, calibration } = forecastRecord(book, {}, now)
  const { demand } = classes[0]!
  expect(demand.length).toBeGreaterThan(8)
  expect(demand.at(-2)).toMatchObject({ from: expect.any(Number), came: 72, basis: 'learned' })
  expect(demand.map(({ from }) => from % 3_600_000)).toEqual(demand.map(() => 0))
  expect(calibration.map(({ of }) => of)).toEqual(
    expect.arrayContaining(['demand_10min', 'demand_hour', 'price', 'earnings', 'wait', 'run', 'finish']),
  )
  for (const { p10, p50, p90 } of calibration) expect([p10 <= p50, p50 <= p90, p90 <= 1]).toEqual([true, true, true])
})

test('the hours of a track are whole, or have not come', () => {
  const book = openBook()
  const provider = join(book, 1, T0, { free: 4 })
  const before = work(book, provider, T0, steady(14))
  const now = work(book, provider, before + 5 * BIN_MS, steady(3))
  const came = forecastRecord(book, CLASS, now).classes[0]!.demand.map((hour) => hour.came)
  expect(came).toContain(72)
  expect(came).toContain(null)
})

test('a sudden fall of supply opens an incident, and its return ends it', () => {
  const book = openBook()
  const provider = join(book, 1, T0, { free: 4 })
  const other = join(book, 2, T0, { free: 4 })
  let now = T0
  const bins = (count: number, both: boolean) => {
    for (let n = 0; n < count; n++, now += BIN_MS) {
      rollUp(book, now)
      order(book, 1, [request()], now)
      for (const one of both ? [provider, other] : [provider]) {
        one.reachable = true
        finish(book, one, now + 1000)
      }
    }
  }
  bins(50, true)
  other.reachable = false
  bins(3, false)
  expect(forecastView(book, {}, now).incidents).toEqual([
    { ...CLASS, of: 'supply', since: expect.any(Number), expected: 8 },
  ])
  bins(3, true)
  expect(forecastView(book, {}, now).incidents).toEqual([])
})

test('a task that waits is told when it will start and finish, one that runs what is left, one that is over nothing', () => {
  const { book, now } = queue(1500)
  const [provider] = [...book.providers.values()]
  const [id] = order(book, 2, [request({ deadlineMs: 86_400_000 })], now) as [string]
  const waits = taskForecast(book, id, now)
  expect(waits.startMs!.p50).toBeGreaterThan(0)
  expect(waits.finishMs!.p50).toBeGreaterThan(waits.startMs!.p50)
  while (book.tasks.get(id)!.task.attempts.length === 0) finish(book, provider!, now)
  const runs = taskForecast(book, id, now)
  expect(runs).toMatchObject({ startMs: null, finishMs: { basis: 'learned' } })
  expect(taskForecast(book, id, now + 100_000).finishMs!.p90).toBeGreaterThan(0)
  finish(book, provider!, now)
  expect(taskForecast(book, id, now)).toEqual({ at: now, startMs: null, finishMs: null })
})

test('where demand was more than the slots could do at this time of day, a shortage is told ahead, and a price above the usual', () => {
  const book = openBook()
  const provider = join(book, 1, T0, { slots: 4, free: 4 })
  // Twelve tasks of a second are little; at one hour of the day there come a hundred minutes' worth.
  const day = Array.from({ length: 144 }, (_, bin) => (bin >= 60 && bin < 66 ? 400 : 12))
  const now = work(book, provider, T0, [...day, ...steady(6)])
  expect(forecast(book, now).shortage).toBeNull()
  book.measured.get('text.embed m')!.runMs *= 20
  const { shortage, suggestedAsk } = forecast(book, now)
  expect(shortage).toEqual({ at: T0 + (144 + 60) * BIN_MS, slots: expect.any(Number) })
  expect(shortage!.slots).toBeGreaterThan(4)
  expect(Number(suggestedAsk)).toBeGreaterThan(0)
})

test('a book that was written when this was kept in other forms is read, and learns anew', () => {
  const book = openBook()
  const provider = join(book, 1, T0, { free: 4 })
  const half = work(book, provider, T0, steady(5))
  const written = structuredClone({ head: headOf(book), parts: [...partsOf(book)] })
  written.head.version = 3
  for (const part of written.parts) {
    // As long as it was kept in other forms, whatever these were.
    if (part.type === 'outlook') Object.assign(part.outlook, { demand: [], eta: null, tracks: {} })
  }
  const restored = restore(written.head, written.parts, half)
  const [again] = [...restored.providers.values()]
  const now = work(restored, again!, half, steady(12))
  expect(forecast(restored, now)).toMatchObject({ demand: { latest: 12 }, earnings: { hour: { basis: 'early' } } })
})
