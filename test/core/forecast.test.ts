/** Forecasts of a series: what they may know, what they promise, and what they make of bad series. */
import { deserialize, serialize } from 'node:v8'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Forecast } from '#core/forecast/bands.ts'
import { BIN_MS, DAY_BINS, WEEK_BINS } from '#core/forecast/history.ts'
import { coverage, wape } from '#core/forecast/score.ts'
import { createSeries, forecastOf, observe, type Series } from '#core/forecast/series.ts'
import { T0 } from '../support/book.ts'
import { holds } from '../support/property.ts'
import { SERIES } from '../support/series.ts'

const HOUR_AHEAD = { from: 6, to: 6 }
const NEXT_HOUR = { from: 1, to: 6 }
const NEXT_DAY = { from: 1, to: DAY_BINS }
const WINDOWS = [HOUR_AHEAD, NEXT_HOUR, NEXT_DAY]
const LENGTH = 2 * WEEK_BINS

const at = (bin: number) => T0 + bin * BIN_MS

/** What is forecast after each value, one hour ahead. */
function forecastsOf(values: readonly number[], series = createSeries([HOUR_AHEAD])): (Forecast | null)[] {
  return values.map((value, i) => {
    observe(series, at(i), value)
    return forecastOf(series, HOUR_AHEAD)
  })
}

function fed(values: readonly number[], windows = WINDOWS): Series {
  const series = createSeries(windows)
  for (const [i, value] of values.entries()) observe(series, at(i), value)
  return series
}

test('a forecast knows nothing of what comes after it', () => {
  const past = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 300 })
  const future = fc.array(fc.double(), { minLength: 1, maxLength: 20 })
  holds(
    fc.property(past, future, future, (known, one, other) => {
      const first = forecastsOf([...known, ...one])
      const second = forecastsOf([...known, ...other])
      expect(second.slice(0, known.length)).toEqual(first.slice(0, known.length))
    }),
    50,
  )
})

test('shifting the later half of a seasonal series changes no forecast of the earlier', () => {
  const values = SERIES.outages(7, LENGTH)
  const half = values.length / 2
  const shifted = [...values.slice(0, half), ...values.slice(half).map((value) => 3 * value + 100)]
  expect(forecastsOf(shifted).slice(0, half)).toEqual(forecastsOf(values).slice(0, half))
})

for (const [kind, make] of Object.entries(SERIES)) {
  test(`the bands of a series with ${kind} hold what they promise, and its median is as good as the best simple rule`, () => {
    const values = make(20_260, LENGTH)
    const forecasts = forecastsOf(values)
    const targets = values.slice(WEEK_BINS)
    const said = targets.map((_, i) => forecasts[i + WEEK_BINS - HOUR_AHEAD.to]!)
    const { p90, p10p90 } = coverage(said, targets)
    expect.soft(p90).toBeGreaterThan(0.88)
    expect.soft(p90).toBeLessThan(0.92)
    expect.soft(p10p90).toBeGreaterThan(0.77)
    expect.soft(p10p90).toBeLessThan(0.83)
    const rules = [HOUR_AHEAD.to, DAY_BINS, WEEK_BINS].map((lag) =>
      wape(
        targets.map((_, i) => values[i + WEEK_BINS - lag]!),
        targets,
      ),
    )
    const score = wape(
      said.map(({ p50 }) => p50),
      targets,
    )
    expect(score).toBeLessThan(Math.min(...rules) * 1.02)
  })
}

test('a daily pattern is learned, and an outage is neither expected to last nor to come again', () => {
  const daily = (i: number) => 200 + 100 * Math.sin((2 * Math.PI * i) / DAY_BINS)
  const values = Array.from({ length: WEEK_BINS }, (_, i) => (i % 200 > 196 ? 0 : daily(i)))
  const known = forecastsOf(values)
  const score = wape(
    known.slice(4 * DAY_BINS, -6).map((forecast) => forecast!.p50),
    Array.from({ length: WEEK_BINS }, (_, i) => daily(i)).slice(4 * DAY_BINS + 6),
  )
  expect(score).toBeLessThan(0.05)
})

test('before anything was seen there is no forecast, and the first are wide and say that they are early', () => {
  const series = createSeries([HOUR_AHEAD])
  expect(forecastOf(series, HOUR_AHEAD)).toBeNull()
  observe(series, at(0), 100)
  expect(forecastOf(series, HOUR_AHEAD)).toEqual({ p10: 0, p50: 100, p90: 300, basis: 'early' })
  const [early] = forecastsOf(new Array(20).fill(100)).slice(-1)
  expect(early!.basis).toBe('early')
  expect(early!.p90 - early!.p10).toBeGreaterThan(20)
  expect(forecastsOf(new Array(60).fill(100)).at(-1)!.basis).toBe('learned')
})

test('a series that never changes is forecast as it is', () => {
  for (const value of [0, 5, 1e12]) {
    const { p10, p50, p90 } = forecastsOf(new Array(1000).fill(value)).at(-1)!
    expect(Math.abs(p50 - value)).toBeLessThanOrEqual(value * 1e-6)
    expect(p90 - p10).toBeLessThanOrEqual(value * 0.1)
  }
})

test('whatever comes, quantiles are numbers in order and never negative', () => {
  const value = fc.oneof(
    fc.double({ min: 0, max: 1e3, noNaN: true }),
    fc.constantFrom(0, 1e15, 1e-15, -1, Number.NaN, Number.POSITIVE_INFINITY),
  )
  const step = fc.oneof(
    { weight: 20, arbitrary: fc.constant(1) },
    { weight: 1, arbitrary: fc.constantFrom(2, 40, WEEK_BINS + 1) },
  )
  holds(
    fc.property(fc.array(fc.tuple(step, value), { maxLength: 200 }), (steps) => {
      const series = createSeries(WINDOWS)
      let bin = 0
      for (const [ahead, value] of steps) {
        bin += ahead
        observe(series, at(bin), value)
        for (const window of WINDOWS) {
          const said = forecastOf(series, window)
          if (said === null) continue
          const { p10, p50, p90 } = said
          expect([0 <= p10, p10 <= p50, p50 <= p90, Number.isFinite(p90)]).toEqual([true, true, true, true])
        }
      }
    }),
  )
})

test('a bin that is not known teaches nothing', () => {
  const values = SERIES.stationary(3, 201)
  const holed = values.map((value, i) => (i % 7 === 3 ? Number.NaN : value))
  const skipped = createSeries(WINDOWS)
  for (const [i, value] of holed.entries()) if (!Number.isNaN(value)) observe(skipped, at(i), value)
  expect(fed(holed)).toEqual(skipped)
})

test('a series that was silent for more than a week begins anew', () => {
  const series = fed(SERIES.stationary(3, 500))
  observe(series, at(500 + WEEK_BINS), 7)
  const anew = createSeries(WINDOWS)
  observe(anew, at(500 + WEEK_BINS), 7)
  expect(series).toEqual(anew)
})

test('time does not run backwards, and a window that cannot be forecast is refused', () => {
  const series = fed([1, 2, 3])
  const before = structuredClone(series)
  expect(() => observe(series, at(2), 4)).toThrow(RangeError)
  expect(() => observe(series, at(-5), 4)).toThrow(RangeError)
  expect(() => observe(series, Number.NaN, 4)).toThrow(RangeError)
  expect(series).toEqual(before)
  expect(() => forecastOf(series, { from: 2, to: 3 })).toThrow(RangeError)
  for (const [from, to] of [
    [0, 1],
    [2, 1],
    [1, 145],
    [1.5, 2],
  ] as const) {
    expect(() => createSeries([{ from, to }])).toThrow(RangeError)
  }
})

test('a series is what it was when it was written down and read, in a few kilobytes', () => {
  const values = SERIES.outages(11, 2 * WEEK_BINS)
  const series = fed(values)
  const written = serialize(series)
  expect(deserialize(written)).toEqual(series)
  expect(written.length).toBeLessThan(8000)
  const plain = createSeries([NEXT_HOUR], false)
  for (const [i, value] of values.entries()) observe(plain, at(i), value)
  expect(serialize(plain).length).toBeLessThan(1500)
})

test('a forecast scales with its series', () => {
  const values = SERIES.seasonal(5, 700)
  const one = forecastsOf(values).at(-1)!
  const thousand = forecastsOf(values.map((value) => value * 1000)).at(-1)!
  for (const quantile of ['p10', 'p50', 'p90'] as const) {
    expect(thousand[quantile] / one[quantile]).toBeCloseTo(1000, 1)
  }
})
