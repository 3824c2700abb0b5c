import { expect, test } from 'vitest'
import { retryAfterMs } from '#core/webhook.ts'

test('a delivery is tried eight times within eighteen hours, ever more rarely', () => {
  const waits: number[] = []
  for (let wait = retryAfterMs(1, 0); wait !== null; wait = retryAfterMs(waits.length + 1, 0)) waits.push(wait)
  expect(waits).toHaveLength(7)
  expect(waits).toEqual(waits.toSorted((x, y) => x - y))
  expect(waits[0]).toBe(5000)
  expect(waits.reduce((sum, wait) => sum + wait)).toBeLessThan(18 * 3_600_000)
})

test('chance spreads attempts by up to a tenth', () => {
  expect([retryAfterMs(2, 0), retryAfterMs(2, 0.5), retryAfterMs(2, 1)]).toEqual([60_000, 63_000, 66_000])
})
