/** The parts that forecasts are made of, and how they are scored. */
import { expect, test } from 'vitest'
import type { Forecast } from '#core/forecast/bands.ts'
import { type Incident, watch } from '#core/forecast/incident.ts'
import { createLinear, learnLinear, predictLinear } from '#core/forecast/linear.ts'
import { blend, createMixture, learnMixture } from '#core/forecast/mixture.ts'
import { coverage, pinball, wape } from '#core/forecast/score.ts'
import { T0 } from '../support/book.ts'
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
