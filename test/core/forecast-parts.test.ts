/** The parts that forecasts are made of, and how they are scored. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Forecast } from '#core/forecast/bands.ts'
import { createGuarded, guard, type Incident, watch } from '#core/forecast/incident.ts'
import { createLinear, learnLinear, predictLinear } from '#core/forecast/linear.ts'
import { blend, createMixture, learnMixture } from '#core/forecast/mixture.ts'
import { remaining } from '#core/forecast/remaining.ts'
import { coverage, pinball, wape } from '#core/forecast/score.ts'
import { countOutcome, createTally } from '#core/forecast/tally.ts'
import { T0 } from '../support/book.ts'
import { holds } from '../support/property.ts'
import { mulberry32 } from '../support/random.ts'

const forecast = (p10: number, p50: number, p90: number, basis: Forecast['basis'] = 'learned'): Forecast => ({
  p10,
  p50,
  p90,
  basis,
})

test('scores are what their formulas say', () => {
  expect(wape([10, 20, 30], [10, 25, 25])).toBeCloseTo(10 / 60, 12)
  expect(wape([0], [-4])).toBe(1)
  expect(pinball(0.9, [10, 10], [20, 5])).toBeCloseTo((0.9 * 10 + 0.1 * 5) / 2, 12)
  expect(pinball(0.5, [3], [1])).toBe(1)
  const forecasts = [forecast(1, 2, 3), forecast(1, 2, 3), forecast(1, 2, 3), forecast(1, 2, 3)]
  expect(coverage(forecasts, [0, 1, 3, 4])).toEqual({ p90: 0.75, p10p90: 0.5 })
  expect(wape([], [])).toBeNaN()
})

test('a blend moves to the expert that was right, also to a mean of two, and follows when another becomes right', () => {
  const random = mulberry32(5)
  const mixture = createMixture([1, 1, 1])
  const learn = (truth: (experts: number[]) => number) => {
    for (let i = 0; i < 600; i++) {
      const experts = [random(), random(), random()]
      learnMixture(mixture, experts, blend(mixture, experts), truth(experts), 1, 0.99)
    }
  }
  expect(blend(mixture, [0, 3, 6])).toBeCloseTo(3, 12)
  learn(([first]) => first!)
  expect(blend(mixture, [1, 0, 0])).toBeGreaterThan(0.9)
  learn(([, second]) => second!)
  expect(blend(mixture, [0, 1, 0])).toBeGreaterThan(0.9)
  learn(([first, second]) => (first! + second!) / 2)
  expect(blend(mixture, [1, 0, 0])).toBeGreaterThan(0.3)
  expect(blend(mixture, [0, 1, 0])).toBeGreaterThan(0.3)
})

test('a linear model finds the weights, and one wild value in fifty does not bend it', () => {
  const random = mulberry32(6)
  const model = createLinear(3)
  for (let i = 0; i < 2000; i++) {
    const features = [1, random() * 4 - 2, random() * 4 - 2]
    const truth = 0.5 + 2 * features[1]! - features[2]! + (random() - 0.5) * 0.1
    learnLinear(model, features, predictLinear(model, features), i % 50 === 0 ? 1000 : truth, 0.999)
  }
  expect(predictLinear(model, [1, 0, 0])).toBeCloseTo(0.5, 0)
  expect(predictLinear(model, [1, 1, 0])).toBeCloseTo(2.5, 0)
  expect(predictLinear(model, [1, 0, 1])).toBeCloseTo(-0.5, 0)
})

test('an incident opens at a sudden fall, stays until what was expected is reached again, and ends within a day', () => {
  const usual = forecast(90, 100, 110)
  expect(watch(null, usual, 75, T0)).toBeNull()
  const open = watch(null, usual, 40, T0)
  expect(open).toEqual({ since: T0, expected: 100, floor: 90 } satisfies Incident)
  expect(watch(open, forecast(30, 40, 50), 45, T0 + 60_000)).toBe(open)
  expect(watch(open, forecast(30, 40, 50), 92, T0 + 60_000)).toBeNull()
  expect(watch(open, usual, 40, T0 + 86_400_000)).toBeNull()
})

test('no incident opens while little is known, by a small fall, or by one that was to be expected', () => {
  expect(watch(null, null, 0, T0)).toBeNull()
  expect(watch(null, forecast(90, 100, 110, 'early'), 0, T0)).toBeNull()
  expect(watch(null, forecast(99, 100, 101), 85, T0)).toBeNull()
  expect(watch(null, forecast(60, 100, 140), 0, T0)).toBeNull()
})

test('what is left of a time is the whole at first, and never over before now', () => {
  const time = fc.tuple(fc.nat(1e4), fc.nat(1e4), fc.nat(1e4)).map(([x, y, z]) => forecast(x, x + y, x + y + z))
  holds(
    fc.property(time, fc.double({ min: 0, max: 1e5, noNaN: true }), (whole, elapsed) => {
      const { p10, p50, p90 } = remaining(whole, elapsed)
      expect([0 <= p10, p10 <= p50, p50 <= p90, Number.isFinite(p90)]).toEqual([true, true, true, true])
      expect(remaining(whole, 0)).toEqual(whole)
    }),
  )
})

test('of a time that ends as likely at any moment, as much is left whenever one looks', () => {
  const quantile = (level: number) => -1000 * Math.log(1 - level)
  const whole = forecast(quantile(0.1), quantile(0.5), quantile(0.9))
  for (const elapsed of [10, 300, 1500, 9000]) {
    const left = remaining(whole, elapsed)
    for (const q of ['p10', 'p50', 'p90'] as const) expect(left[q]).toBeCloseTo(whole[q], 6)
  }
})

test('a tally shows what is calibrated as such, ties included, and leaves out what was said early', () => {
  const tally = createTally()
  for (let n = 0; n < 100; n++) countOutcome(tally, forecast(10, 50, 90), n)
  expect(tally).toEqual({ count: 100, p10: 10.1, p50: 50.5, p90: 90.9 })
  countOutcome(tally, forecast(10, 50, 90, 'early'), 5)
  expect(tally.count).toBe(100)
})

test('a fall that lasts for a day is no longer one, and the next fall is told again', () => {
  const guarded = createGuarded()
  let now = T0
  const come = (value: number, times: number) => {
    for (let n = 0; n < times; n++, now += 600_000) guard(guarded, value, now)
  }
  come(8, 60)
  expect(guarded.incident).toBeNull()
  come(4, 2)
  expect(guarded.incident).toMatchObject({ expected: 8 })
  come(4, 200)
  expect(guarded.incident).toBeNull()
  come(1, 2)
  expect(guarded.incident).toMatchObject({ expected: 4 })
  come(4, 1)
  expect(guarded.incident).toBeNull()
})
