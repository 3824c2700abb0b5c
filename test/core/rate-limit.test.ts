import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type Bucket,
  fullBucket,
  networkOfIp,
  type Policy,
  rateLimitFields,
  rateLimits,
  secondsUntil,
  takeCalls,
} from '#core/rate-limit.ts'

const policies = fc.record({
  name: fc.constant('key'),
  quota: fc.integer({ min: 1, max: 1000 }),
  seconds: fc.integer({ min: 1, max: 120 }),
})

test('over any time no more calls get through than the quota and what came free meanwhile', () => {
  const calls = fc.array(fc.record({ wait: fc.nat(5000), calls: fc.integer({ min: 1, max: 5 }) }), { maxLength: 200 })
  fc.assert(
    fc.property(policies, calls, (policy, tries) => {
      const bucket = fullBucket(policy, 0)
      let now = 0
      let taken = 0
      for (const { wait, calls } of tries) {
        now += wait
        if (takeCalls(bucket, policy, calls, now)) taken += calls
      }
      expect(taken).toBeLessThanOrEqual(policy.quota + (now / 1000) * (policy.quota / policy.seconds) + 1e-6)
    }),
  )
})

test('who waits as long as told gets through, and a clock that goes back takes nothing away', () => {
  fc.assert(
    fc.property(
      policies,
      fc.integer({ min: 1, max: 10 }),
      fc.nat(10_000),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (policy, calls, back, part) => {
        fc.pre(calls <= policy.quota)
        const bucket: Bucket = { left: Math.floor(part * calls * policy.seconds * 1000), at: 1_000_000 }
        const seconds = secondsUntil(bucket, policy, calls)
        expect(takeCalls(bucket, policy, calls, 1_000_000 - back)).toBe(false)
        expect(takeCalls(bucket, policy, calls, 1_000_000 - back + seconds * 1000)).toBe(true)
      },
    ),
  )
})

test('a bucket is told as the draft writes it', () => {
  const policy: Policy = { name: 'key', quota: 100, seconds: 60 }
  const account: Policy = { name: 'account', quota: 200, seconds: 60 }
  const counted = [
    { policy, bucket: { left: 49.5 * 60_000, at: 0 } },
    { policy: account, bucket: fullBucket(account, 0) },
  ]
  expect(rateLimitFields(counted)).toEqual({
    policy: '"key";q=100;w=60, "account";q=200;w=60',
    limit: '"key";r=49;t=31, "account";r=200;t=0',
  })
})

test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:0DB8:0001:0002::6', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::', 'fe80:0:0:0::/64'],
])('the address %s is counted as %s', (ip, network) => {
  expect(networkOfIp(ip)).toBe(network)
})

test('limits are as they are set; a development network has none unless it sets them', () => {
  expect(rateLimits(undefined, true)).toBeNull()
  expect(rateLimits('0', false)).toBeNull()
  expect(rateLimits('', false)).toMatchObject({
    key: { quota: 60_000 },
    account: { quota: 120_000 },
    ip: { quota: 6_000 },
  })
  expect(rateLimits('15', true)).toMatchObject({ key: { quota: 15 }, ip: { quota: 2 } })
  for (const wrong of ['many', '-1', '1.5']) expect(() => rateLimits(wrong, false)).toThrow(wrong)
})
