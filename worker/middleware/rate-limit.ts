/**
 * Turns away who calls too often, before anything is done for them. Buckets are in this isolate's memory, which costs a call next
 * to nothing; so a limit is one for each isolate, and bounds what one of them does rather than the whole network.
 */
import type { Context } from 'hono'
import { DomainError } from '#core/errors.ts'
import {
  type Bucket,
  fullBucket,
  networkOfIp,
  type Policy,
  rateLimitFields,
  secondsUntil,
  takeCalls,
} from '#core/rate-limit.ts'
import type { Principal } from '../auth.ts'
import { networkOf } from '../env.ts'

/** Beyond so many the oldest bucket goes: its owner starts with a full one again. */
const MOST_BUCKETS = 50_000
const buckets = new Map<string, Bucket>()

/** @throws DomainError rate_limited */
export function countKnown(c: Context, { address, key }: Principal, calls: number): void {
  const { rates } = networkOf(c.env)
  if (!rates) return
  count(c, calls, [
    [rates.key, `${address}/${key}`],
    [rates.account, address],
  ])
}

/** Where no proxy tells by whom it was called, nobody is told apart, so nobody is limited. @throws DomainError rate_limited */
export function countUnknown(c: Context, calls: number): void {
  const { rates } = networkOf(c.env)
  const ip = rates && c.req.header('cf-connecting-ip')
  if (ip) count(c, calls, [[rates.ip, networkOfIp(ip)]])
}

function count(c: Context, calls: number, limits: [policy: Policy, whose: string][]): void {
  const now = Date.now()
  const counted = limits.map(([policy, whose]) => ({ policy, bucket: bucketOf(whose, policy, now) }))
  const short = counted.find(({ policy, bucket }) => !takeCalls(bucket, policy, Math.min(calls, policy.quota), now))
  const { policy, limit } = rateLimitFields(counted)
  c.header('ratelimit-policy', policy)
  c.header('ratelimit', limit)
  if (!short) return
  const { name, quota, seconds } = short.policy
  throw new DomainError('rate_limited', {
    detail: `more than ${quota} calls in ${seconds} s (${name})`,
    retryAfterSeconds: secondsUntil(short.bucket, short.policy, Math.min(calls, quota)),
  })
}

function bucketOf(whose: string, policy: Policy, now: number): Bucket {
  const known = buckets.get(whose)
  if (known) return known
  if (buckets.size >= MOST_BUCKETS) buckets.delete(buckets.keys().next().value!)
  const bucket = fullBucket(policy, now)
  buckets.set(whose, bucket)
  return bucket
}
