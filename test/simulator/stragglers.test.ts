import { expect, test } from 'vitest'
import { stragglers } from '../../simulator/stragglers.ts'

test('where providers are slow now and then, second attempts end the wait for the last tasks, for few attempts more', () => {
  const [cheapest, balanced] = stragglers(1, 1500)
  expect(cheapest!.seconds).toBe(0)
  expect(balanced!.seconds).toBeLessThan(0.06)
  expect(balanced!.finishP99).toBeLessThan(cheapest!.finishP99 / 2)
  expect(balanced!.succeeded).toBeGreaterThan(cheapest!.succeeded - 0.005)
  expect([cheapest!.violations, balanced!.violations]).toEqual([0, 0])
}, 60_000)
