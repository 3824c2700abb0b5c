import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bestQuote, type CellLoad, cellNames, chooseCell, chooseHome } from '#core/cells.ts'
import { mergedList, providerList } from '#core/directory.ts'
import { mergedBooks, mergedHistory, mergedMinutes } from '#core/merged.ts'
import { mergedForecast, mergedRecord } from '#core/merged-forecast.ts'
import { formatAmount, parseAmount } from '#core/money.ts'
import type { ClassForecast, ForecastView, PastHour } from '#core/protocol/forecast.ts'
import type { BooksView, HistoryMinute, Minute } from '#core/protocol/network.ts'
import type { Quote } from '#core/protocol/quote.ts'
import { enrol, openBook, T0 } from '../support/book.ts'
import { holds } from '../support/property.ts'

const WANT = { kind: 'llm.chat', model: 'm', bid: 10n } as const

const load = (cell: string, of: { slots?: number; free?: number; leastAsk?: bigint } | null, open = 0): CellLoad => ({
  cell,
  providers: 0,
  open,
  classes: new Map(of ? [['llm.chat m', { slots: 0, free: 0, leastAsk: 1n, ...of }]] : []),
})

test('the names of cells are as many as there are, and no number else will do', () => {
  expect(cellNames(3)).toEqual(['c1', 'c2', 'c3'])
  for (const count of [0, -1, 1.5, 65, Number.NaN]) expect(() => cellNames(count)).toThrow(RangeError)
})

test('tasks go to a cell that can take them whenever there is one', () => {
  const cells = fc.array(
    fc.option(fc.record({ slots: fc.nat(8), free: fc.nat(8), leastAsk: fc.bigInt({ min: 1n, max: 20n }) }), {
      nil: null,
    }),
    { minLength: 1, maxLength: 6 },
  )
  holds(
    fc.property(cells, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (all, lot) => {
      const loads = all.map((of, i) => load(`c${i + 1}`, of && { ...of, free: Math.min(of.free, of.slots) }))
      const chosen = chooseCell(loads, [WANT], lot)
      const fits = (one: CellLoad) => {
        const { slots = 0, leastAsk = 0n } = one.classes.get('llm.chat m') ?? {}
        return slots > 0 && leastAsk <= WANT.bid
      }
      const able = loads.filter(fits)
      expect(chosen.fits).toBe(able.length > 0)
      if (able.length === 0) return
      const taken = able.find(({ cell }) => cell === chosen.cell)
      expect(taken).toBeDefined()
      // Nobody waits where others have something free.
      const free = (one: CellLoad) => one.classes.get('llm.chat m')!.free
      if (able.some((one) => free(one) > 0)) expect(free(taken!)).toBeGreaterThan(0)
    }),
  )
})

test('each cell takes as much as its share of what is free, and of what is open where nothing is', () => {
  const count = (loads: CellLoad[]) => {
    const chosen = Array.from({ length: 1000 }, (_, i) => chooseCell(loads, [WANT], (i + 0.5) / 1000).cell)
    return loads.map(({ cell }) => chosen.filter((one) => one === cell).length)
  }
  expect(count([load('c1', { slots: 8, free: 6 }), load('c2', { slots: 8, free: 2 })])).toEqual([750, 250])
  expect(count([load('c1', { slots: 8 }, 7), load('c2', { slots: 8 }, 23)])).toEqual([750, 250])
})

test('tasks of several classes go together to a cell that has all, and a model by its digest or its kind alone is found', () => {
  const both: CellLoad = load('c2', { slots: 1, free: 1 })
  both.classes.set('text.embed e', { slots: 1, free: 1, leastAsk: 1n })
  const loads = [load('c1', { slots: 9, free: 9 }), both]
  const embed = { kind: 'text.embed', model: 'e', bid: 10n } as const
  for (const lot of [0, 0.5, 0.99]) expect(chooseCell(loads, [WANT, embed], lot)).toEqual({ cell: 'c2', fits: true })
  expect(chooseCell(loads, [{ ...embed, model: 'e@sha256:1' }], 0)).toEqual({ cell: 'c2', fits: true })
  expect(chooseCell(loads, [{ ...embed, model: null }], 0)).toEqual({ cell: 'c2', fits: true })
  expect(chooseCell(loads, [{ ...embed, model: 'nobody has it' }], 0).fits).toBe(false)
})

test('who comes new is at home among those who offer the same, until they are many', () => {
  const alike = { ...load('c2', { slots: 4 }), providers: 1 }
  const empty = { ...load('c3', null), providers: 0 }
  const others = { ...load('c1', null), providers: 9 }
  const offers = [{ kind: 'llm.chat', model: 'm' }] as const
  expect(chooseHome([others, alike, empty], [...offers])).toBe('c2')
  expect(chooseHome([others, alike, empty], [{ kind: 'llm.chat', model: 'other' }])).toBe('c3')
  expect(chooseHome([others, { ...alike, providers: 256 }, empty], [...offers])).toBe('c3')
  // Where all are full, the emptiest.
  const full = [others, alike, empty].map((one, i) => ({ ...one, providers: 300 + i }))
  expect(chooseHome(full, [...offers])).toBe('c1')
})

const quote = (given: { candidates: number; p50Ms: number | null; expected?: string | null }) => ({
  quote: {
    candidates: given.candidates,
    wait: { p50Ms: given.p50Ms },
    price: { expected: given.expected ?? null },
    assurance: null,
  } as unknown as Quote,
})

test('of several quotes the best has candidates, then starts soonest, then costs least', () => {
  const [nobody, later, dear, cheap] = [
    quote({ candidates: 0, p50Ms: null, expected: '0' }),
    quote({ candidates: 9, p50Ms: 5, expected: '0' }),
    quote({ candidates: 1, p50Ms: 0, expected: '2' }),
    quote({ candidates: 1, p50Ms: 0, expected: '1' }),
  ]
  holds(
    fc.property(fc.shuffledSubarray([nobody, later, dear, cheap], { minLength: 1 }), (quotes) => {
      const order = [cheap, dear, later, nobody]
      expect(bestQuote(quotes)).toBe(order.find((one) => quotes.includes(one)))
    }),
  )
})

const amount = fc.bigInt({ min: 0n, max: 10n ** 24n }).map(formatAmount)
const minute = fc.record({
  at: fc.integer({ min: 0, max: 5 }).map((n) => n * 60_000),
  submitted: fc.nat(100),
  succeeded: fc.nat(100),
  failed: fc.nat(100),
  waitP50Ms: fc.option(fc.nat(1000)),
  waitP95Ms: fc.option(fc.nat(1000)),
  volume: amount,
})
const sum = (values: number[]) => values.reduce((x, y) => x + y, 0)

test('minutes of several cells: counts and money add up to the unit, in whatever order', () => {
  holds(
    fc.property(fc.array(minute, { maxLength: 20 }), (minutes: Minute[]) => {
      const merged = mergedMinutes(minutes)
      expect(merged.map(({ at }) => at)).toEqual([...new Set(minutes.map(({ at }) => at))].sort((x, y) => x - y))
      expect(sum(merged.map(({ submitted }) => submitted))).toBe(sum(minutes.map(({ submitted }) => submitted)))
      const money = (all: Minute[]) => all.reduce((units, { volume }) => units + parseAmount(volume), 0n)
      expect(money(merged)).toBe(money(minutes))
      expect(mergedMinutes(minutes.toReversed())).toEqual(merged)
      // An upper bound for each cell's is one for all.
      for (const { at, waitP95Ms } of minutes) {
        if (waitP95Ms !== null) expect(merged.find((one) => one.at === at)!.waitP95Ms).toBeGreaterThanOrEqual(waitP95Ms)
      }
    }),
  )
})

test('the minutes that the history keeps: providers are added, means are weighted by them, and what is not known stays so', () => {
  const row = (metrics: Partial<HistoryMinute>): HistoryMinute => ({
    at: 0,
    submitted: 1,
    succeeded: 1,
    failed: 0,
    waitP50Ms: null,
    waitP95Ms: null,
    volume: '1',
    totalProviders: null,
    activeProviders: null,
    averageReputation: null,
    healthScore: null,
    ...metrics,
  })
  const [one, other] = [
    row({ totalProviders: 4, activeProviders: 3, averageReputation: 0.9, healthScore: 100 }),
    row({ totalProviders: 1, activeProviders: 1, averageReputation: 0.5, healthScore: 60 }),
  ]
  expect(mergedHistory([one, other, row({})])).toEqual([
    {
      ...one,
      submitted: 3,
      succeeded: 3,
      volume: '3',
      totalProviders: 5,
      activeProviders: 4,
      averageReputation: 0.8,
      healthScore: 90,
    },
  ])
  expect(mergedHistory([row({})])).toEqual([row({})])
})

test('the books of several cells add up', () => {
  const books = (drawn: string, captured: string) =>
    ({ drawn, restored: '0', held: '0', available: '0', captured, earned: captured, fees: '0' }) as BooksView
  expect(mergedBooks([books('1.5', '0.000000000000000001'), books('2.5', '1')])).toMatchObject({
    drawn: '4',
    captured: '1.000000000000000001',
  })
})

test('page by page, the lists of several cells name every provider once, in one order', () => {
  const books = [openBook([]), openBook([]), openBook([])]
  for (let n = 1; n <= 250; n++) enrol(books[n % 3]!, n, T0)
  const named: string[] = []
  for (let after: string | undefined, more = true; more; ) {
    const { providers, next } = mergedList(books.map((book) => providerList(book, after, T0)))
    expect(providers.length).toBeLessThanOrEqual(100)
    named.push(...providers.map(({ address }) => address))
    more = next !== null
    after = next ?? undefined
  }
  expect(named).toHaveLength(250)
  expect(named).toEqual([...new Set(named)].sort())
})

const range = (p50: number) => ({ p10: p50 / 2, p50, p90: p50 * 2, basis: 'learned' as const })
const amounts = (p50: string) => ({ p10: p50, p50, p90: p50, basis: 'learned' as const })

function classForecast(slots: number, given: Partial<ClassForecast> = {}): ClassForecast {
  return {
    kind: 'llm.chat',
    model: 'm',
    providers: 1,
    slots,
    demand: { latest: 2, tenMinutes: range(4), hour: range(24), day: range(500) },
    price: { unit: 'token', latest: '0.1', hour: amounts('0.1') },
    suggestedAsk: '0.1',
    earnings: null,
    shortage: null,
    waitMs: range(100),
    finishMs: range(300),
    ...given,
  }
}

const forecast = (classes: ClassForecast[]): ForecastView => ({
  at: 1,
  from: 0,
  classes,
  incidents: [{ kind: 'llm.chat', model: 'm', of: 'supply', since: classes[0]!.slots, expected: 1 }],
})

test('forecasts of several cells: demand is added, prices are weighted by slots, and a task goes where it waits least', () => {
  const one = forecast([classForecast(3)])
  expect(mergedForecast([one])).toBe(one)
  const price = { unit: 'token', latest: '0.5', hour: { ...amounts('0.5'), basis: 'early' as const } }
  const shortage = { at: 7, slots: 2 }
  const other = forecast([classForecast(1, { price, shortage, waitMs: range(10), finishMs: range(200) })])
  const { classes, incidents } = mergedForecast([one, other])
  expect(classes).toEqual([
    classForecast(4, {
      providers: 2,
      demand: { latest: 4, tenMinutes: range(8), hour: range(48), day: range(1000) },
      price: { unit: 'token', latest: '0.2', hour: { ...amounts('0.2'), basis: 'early' } },
      shortage: { at: 7, slots: 8 },
      waitMs: range(10),
      finishMs: range(200),
    }),
  ])
  // The same fall, since it was first seen.
  expect(incidents.map(({ since }) => since)).toEqual([1])
})

test('the record of several cells: hours are added, and shares are of all outcomes', () => {
  const hour = (from: number, p50: number, came: number | null): PastHour => ({ from, ...range(p50), came })
  const record = (demand: PastHour[], count: number, p50: number) => ({
    at: 1,
    classes: [{ kind: 'llm.chat' as const, model: 'm', demand, price: [], earnings: [] }],
    calibration: [{ of: 'wait' as const, count, p10: 0.1, p50, p90: 0.9 }],
  })
  const merged = mergedRecord([
    record([hour(1, 4, 5), hour(2, 4, null)], 30, 0.5),
    record([hour(2, 6, 3), hour(1, 6, 6)], 10, 0.9),
  ])
  expect(merged.classes[0]!.demand).toEqual([hour(1, 10, 11), hour(2, 10, null)])
  expect(merged.calibration).toEqual([{ of: 'wait', count: 40, p10: 0.1, p50: 0.6, p90: 0.9 }])
})
