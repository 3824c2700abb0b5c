import fc from 'fast-check'
import { expect, test } from 'vitest'
import { interval, newcomer, observe, type Reputation, score } from '#core/reputation.ts'
import { T0 } from '../support/book.ts'
import { holds } from '../support/property.ts'

const DAY = 86_400_000
const outcome = fc.constantFrom('success' as const, 'failure' as const)
const history = fc.array(fc.record({ outcome, after: fc.integer({ min: -DAY, max: 60 * DAY }) }), { maxLength: 60 })

function after(events: { outcome: 'success' | 'failure'; after: number }[]): Reputation {
  let now = T0
  let reputation = newcomer(T0)
  for (const event of events) {
    now += event.after
    reputation = observe(reputation, event.outcome, now)
  }
  return reputation
}
const row = (n: number, outcome: 'success' | 'failure', at = T0) =>
  Array.from({ length: n }).reduce<Reputation>((reputation) => observe(reputation, outcome, at), newcomer(T0))

test('the bounds of a reputation are in order and between 0 and 1, and the score is just below the lower', () => {
  holds(
    fc.property(history, (events) => {
      const reputation = after(events)
      const { low, mean, high } = interval(reputation)
      expect(0 <= low && low <= mean && mean <= high && high <= 1).toBe(true)
      expect(score(reputation)).toBeLessThanOrEqual(low)
      expect(low - score(reputation)).toBeLessThan(0.01)
      expect(reputation.successes >= 0 && reputation.failures >= 0).toBe(true)
    }),
  )
})

test('a success raises a reputation and a failure lowers it', () => {
  holds(
    fc.property(history, (events) => {
      const reputation = after(events)
      const { mean, low } = interval(reputation)
      expect(interval(observe(reputation, 'success', reputation.at)).mean).toBeGreaterThan(mean)
      expect(interval(observe(reputation, 'failure', reputation.at)).mean).toBeLessThan(mean)
      expect(interval(observe(reputation, 'failure', reputation.at)).low).toBeLessThanOrEqual(low)
    }),
  )
})

test('a newcomer is as likely good as bad, and nobody knows', () => {
  const { low, mean, high } = interval(newcomer(T0))
  expect(mean).toBe(0.5)
  expect(high - low).toBeGreaterThan(0.9)
  expect(score(newcomer(T0))).toBeGreaterThanOrEqual(0)
})

test('the more is known the narrower the interval', () => {
  const widths = [0, 1, 10, 100, 1000].map((n) => {
    const { low, high } = interval(row(n, 'success'))
    return high - low
  })
  expect(widths).toEqual([...widths].sort((x, y) => y - x))
  expect(score(row(1000, 'success'))).toBeGreaterThanOrEqual(0.98)
  expect(interval(row(1000, 'failure')).high).toBeLessThan(0.02)
})

test('an outcome counts half after thirty days', () => {
  const later = observe(row(8, 'failure'), 'success', T0 + 30 * DAY)
  expect(later.failures).toBeCloseTo(4, 12)
  expect(later.successes).toBe(1)
  expect(observe(later, 'success', T0 + 90 * DAY).failures).toBeCloseTo(1, 12)
})

test('a clock that runs backwards changes no weight', () => {
  const reputation = row(5, 'success', T0 + DAY)
  const again = observe(reputation, 'success', T0 - DAY)
  expect(again).toEqual({ ...reputation, successes: reputation.successes + 1 })
})
