import fc from 'fast-check'
import { expect, test } from 'vitest'
import { coveredBy, LEAST_LOCK, nextCap } from '#core/lane.ts'
import { ONE_TOKEN } from '#core/money.ts'
import { holds } from '../support/property.ts'

const LANE = {
  signer: `0x${'11'.repeat(20)}`,
  free: 10n * ONE_TOKEN,
  paid: 0n,
  cap: 0n,
  epoch: 0,
  unlockAt: 0,
} as const

test('a lane is locked for what is due and somewhat ahead, and then for a while not again', () => {
  const cap = nextCap(LANE, ONE_TOKEN)!
  expect(cap).toBe((125n * ONE_TOKEN) / 100n)
  const locked = { ...LANE, cap, free: LANE.free - cap }
  expect(nextCap(locked, ONE_TOKEN)).toBeNull()
  expect(nextCap(locked, cap)).toBeGreaterThan(cap)
})

test('too little to be worth a lock is not locked, and nothing while the lane is being unlocked', () => {
  expect(nextCap({ ...LANE, free: LEAST_LOCK - 1n }, ONE_TOKEN)).toBeNull()
  expect(nextCap({ ...LANE, unlockAt: 1 }, ONE_TOKEN)).toBeNull()
  expect(coveredBy({ paid: 1n, cap: 5n, unlockAt: 1 })).toBe(1n)
})

test('a cap never asks for more than is free, and covers what is due where that can be', () => {
  const amount = fc.bigInt({ min: 0n, max: 1000n * ONE_TOKEN })
  holds(
    fc.property(amount, amount, amount, amount, (free, paid, cap, due) => {
      const lane = { ...LANE, free, paid, cap }
      const next = nextCap(lane, due)
      if (next === null) return
      const added = next - coveredBy(lane)
      expect(added).toBeGreaterThanOrEqual(LEAST_LOCK)
      expect(added).toBeLessThanOrEqual(free)
      if (coveredBy(lane) + free >= due) expect(next).toBeGreaterThanOrEqual(due)
    }),
  )
})
