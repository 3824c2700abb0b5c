import { expect, test } from 'vitest'
import { compare, fairShares, gainOf, jain } from '../../simulator/compare.ts'
import { readTraces } from '../bench/traces.ts'

test('against every baseline the market waits less where models must be loaded, pays no more, and is fair to all but a heavy hitter', () => {
  const comparisons = compare(7, 4000, readTraces())
  const [azure, models, , hitter] = comparisons
  for (const one of [azure!, models!]) {
    expect(gainOf(one).wait).toBeGreaterThan(0.3)
    expect(gainOf(one).price).toBeGreaterThan(0)
  }
  const [own, ...others] = hitter!.scores
  // In so short a run chance still has a part in who gets how much.
  expect(own!.fairness).toBeGreaterThan(0.85)
  for (const other of others) expect(other.fairness).toBeLessThan(0.7)
}, 120_000)

test("fair shares give each what it asks for and split the rest; Jain's index is 1 when all are equal", () => {
  expect(fairShares([1, 10, 10], 11)).toEqual([1, 5, 5])
  expect(fairShares([2, 3], 100)).toEqual([2, 3])
  expect(jain([3, 3, 3])).toBe(1)
  expect(jain([1, 0, 0, 0])).toBe(0.25)
})
