import { expect, test } from 'vitest'
import { retryDelay } from '#core/backoff.ts'

test('the delay doubles with each try and ends at thirty seconds', () => {
  expect([0, 1, 2, 3, 10, 1e6].map((attempt) => retryDelay(attempt, 1))).toEqual([
    500, 1000, 2000, 4000, 30_000, 30_000,
  ])
})

test('randomness spreads the delay over its upper half', () => {
  expect(retryDelay(3, 0)).toBe(2000)
  expect(retryDelay(3, 0.5)).toBe(3000)
})
