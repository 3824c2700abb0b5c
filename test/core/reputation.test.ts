import fc from 'fast-check'
import { expect, test } from 'vitest'
import { interval, NEWCOMER, observe, pooled, type Reputation, score } from '#core/reputation.ts'
import { reputationsOfTallies } from '#core/requester-reputation.ts'
import { T0 } from '../support/book.ts'
import { holds } from '../support/property.ts'

const DAY = 86_400_000
const outcome = fc.constantFrom('success' as const, 'failure' as const)
const history = fc.array(fc.record({ outcome, after: fc.integer({ min: -DAY, max: 60 * DAY }) }), { maxLength: 60 })

function after(events: { outcome: 'success' | 'failure'; after: number }[]): Reputation {
  let now = T0
  let reputation = NEWCOMER
  for (const event of events) {
    now += event.after
    reputation = observe(reputation, event.outcome, now)
  }
  return reputation
}
const row = (n: number, outcome: 'success' | 'failure', at = T0) =>
  Array.from({ length: n }).reduce<Reputation>((reputation) => observe(reputation, outcome, at), NEWCOMER)

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
      const at = reputation.day * DAY
      expect(interval(observe(reputation, 'success', at)).mean).toBeGreaterThan(mean)
      expect(interval(observe(reputation, 'failure', at)).mean).toBeLessThan(mean)
      expect(interval(observe(reputation, 'failure', at)).low).toBeLessThanOrEqual(low)
    }),
  )
})

test('a newcomer is as likely good as bad, and nobody knows', () => {
  const { low, mean, high } = interval(NEWCOMER)
  expect(mean).toBe(0.5)
  expect(high - low).toBeGreaterThan(0.9)
  expect(score(NEWCOMER)).toBeGreaterThanOrEqual(0)
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
  expect(again).toEqual({ ...reputation, successes: reputation.successes + 1, outcomes: 6, streak: 6 })
})

test('what happened within a day counts the same in any order, and what is pooled is the sum of what it was pooled of', () => {
  holds(
    fc.property(history, fc.array(outcome, { minLength: 1, maxLength: 20 }), (events, today) => {
      const at = after(events).day * DAY + DAY
      const count = (outcomes: typeof today) => outcomes.reduce((known, one) => observe(known, one, at), after(events))
      expect({ ...count(today.toSorted()), streak: 0 }).toEqual({ ...count(today), streak: 0 })
      const { successes, failures } = count(today)
      const twice = pooled([count(today), count(today)])
      expect([twice.successes, twice.failures]).toEqual([2 * successes, 2 * failures])
      const later = observe(NEWCOMER, 'success', at + 30 * DAY)
      expect(pooled([count(today), later]).failures).toBeCloseTo(failures / 2, 9)
    }),
  )
})

/** Tasks in a row that a newcomer must do until nobody of this score is ahead of it. */
function tasksUntil(target: number): number {
  let [tasks, known] = [0, NEWCOMER]
  for (; score(known) < target; tasks++) known = observe(known, 'success', T0)
  return tasks
}

test('an honest newcomer reaches the top half: in 42 tasks where the median fails one in twenty, in 262 wherever it is', () => {
  const established = (failing: number) => {
    let known = NEWCOMER
    for (let i = 1; i <= 20_000; i++) known = observe(known, i % failing === 0 ? 'failure' : 'success', T0)
    return score(known)
  }
  expect([20, 50, 1e9].map((failing) => tasksUntil(established(failing)))).toEqual([42, 86, 262])
  // Nobody's score is ever higher than this.
  expect(score({ successes: 1e15, failures: 0, day: 0, outcomes: 0, streak: 0 })).toBe(0.99)
})

test('a requester has the same reputation in whatever order the hours of its days are read', () => {
  const tally = fc.record({
    requester: fc.constantFrom('a'.repeat(32), 'b'.repeat(32)),
    hour: fc.integer({ min: 490_000, max: 492_000 }),
    succeeded: fc.nat(500),
    cancelled: fc.nat(20),
  })
  holds(
    fc.property(fc.array(tally, { maxLength: 40 }), (all) => {
      const told = reputationsOfTallies(all)
      expect(reputationsOfTallies(all.toReversed())).toEqual(told)
      for (const { requester, outcomes, interval, score } of told) {
        const own = all.filter((one) => one.requester === requester)
        expect(outcomes).toBe(own.reduce((sum, { succeeded, cancelled }) => sum + succeeded + cancelled, 0))
        expect(interval.low <= interval.mean && interval.mean <= interval.high && score <= interval.low).toBe(true)
      }
    }),
  )
})
