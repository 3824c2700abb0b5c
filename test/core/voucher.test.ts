import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  acceptVoucher,
  charge,
  compactSignature,
  exposure,
  type Lane,
  MAX_LANE,
  nextCeiling,
  packVouchers,
} from '#core/voucher.ts'
import { holds } from '../support/property.ts'

const EMPTY: Lane = { charged: 0n, ceiling: 0n, paid: 0n, locked: 0n }
const account = `0x${'ab'.repeat(32)}` as const
const signature = `0x${'11'.repeat(32)}${'22'.repeat(32)}1c` as const

test('a voucher is packed into 120 bytes', () => {
  const packed = packVouchers([{ account, charged: 1n, ceiling: 0x0203n, signature }])
  expect(packed).toBe(
    `0x${'ab'.repeat(32)}${'00'.repeat(10)}01${'00'.repeat(9)}02030040${'11'.repeat(32)}a2${'22'.repeat(31)}`,
  )
})

test('a signature that is no key’s stays as it is', () => {
  expect(compactSignature('0x1234')).toBe('0x1234')
  expect(compactSignature(`0x${'11'.repeat(32)}${'22'.repeat(32)}1b`)).toBe(`0x${'11'.repeat(32)}${'22'.repeat(32)}`)
})

test('an amount that a lane cannot hold is not packed', () => {
  const pack = (charged: bigint) => () => packVouchers([{ account, charged, ceiling: MAX_LANE, signature }])
  expect(pack(MAX_LANE)).not.toThrow()
  expect(pack(MAX_LANE + 1n)).toThrow(RangeError)
  expect(pack(-1n)).toThrow(RangeError)
})

test('a voucher that does not rise is refused', () => {
  const lane = acceptVoucher(EMPTY, 10n)
  for (const ceiling of [10n, 9n, 0n, MAX_LANE + 1n]) {
    expect(() => acceptVoucher(lane, ceiling)).toThrow(expect.objectContaining({ code: 'voucher_refused' }))
  }
})

test('the next ceiling covers what is held and what comes next, and never falls', () => {
  expect(nextCeiling({ ...EMPTY, charged: 5n, ceiling: 7n }, 2n, 3n)).toBe(10n)
  expect(nextCeiling({ ...EMPTY, charged: 5n, ceiling: 20n }, 2n, 3n)).toBe(20n)
})

test('what nothing guarantees is what was charged beyond paid and locked', () => {
  expect(exposure({ charged: 9n, ceiling: 20n, paid: 2n, locked: 4n })).toBe(3n)
  expect(exposure({ charged: 5n, ceiling: 20n, paid: 2n, locked: 4n })).toBe(0n)
})

test('whatever comes, a lane charges no more than was signed for, and neither falls', () => {
  const step = fc.record({ sign: fc.boolean(), amount: fc.bigInt(-5n, 20n) })
  holds(
    fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
      let lane = EMPTY
      for (const { sign, amount } of steps) {
        const before = lane
        try {
          lane = sign ? acceptVoucher(lane, amount) : charge(lane, amount)
        } catch (error) {
          expect(error).toMatchObject({ code: 'voucher_refused' })
        }
        expect(lane.charged <= lane.ceiling).toBe(true)
        expect(lane.charged >= before.charged && lane.ceiling >= before.ceiling).toBe(true)
      }
    }),
  )
})
