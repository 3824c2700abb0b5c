/**
 * How often somebody may call: token buckets. A bucket holds up to a quota of calls and fills again evenly over its window.
 * What is told of it is as in draft-ietf-httpapi-ratelimit-headers-10.
 */

/** `quota` calls in `seconds`; all of them may come at once. */
export type Policy = { name: string; quota: number; seconds: number }
/**
 * What was left at the time `at`, Unix milliseconds. `left` is counted in whole grains, as many a call as its window has
 * milliseconds, so that each millisecond gives `quota` of them and nothing is ever rounded.
 */
export type Bucket = { left: number; at: number }

const grains = (calls: number, { seconds }: Policy): number => calls * seconds * 1000

export const fullBucket = (policy: Policy, now: number): Bucket => ({ left: grains(policy.quota, policy), at: now })

/** Takes so many calls out of a bucket, or none. @returns false when there are not as many left */
export function takeCalls(bucket: Bucket, policy: Policy, calls: number, now: number): boolean {
  const filled = Math.min(grains(policy.quota, policy), bucket.left + Math.max(0, now - bucket.at) * policy.quota)
  const asked = grains(calls, policy)
  const enough = filled >= asked
  bucket.left = enough ? filled - asked : filled
  bucket.at = now
  return enough
}

/** Whole seconds until there are so many calls again, at least one. */
export const secondsUntil = ({ left }: Bucket, policy: Policy, calls: number): number =>
  Math.max(1, Math.ceil((grains(calls, policy) - left) / (policy.quota * 1000)))

/** The fields `RateLimit-Policy` and `RateLimit`: `t` is how long until the bucket is full again. */
export function rateLimitFields(counted: { policy: Policy; bucket: Bucket }[]): { policy: string; limit: string } {
  const full = ({ policy, bucket }: (typeof counted)[number]) =>
    Math.ceil((grains(policy.quota, policy) - bucket.left) / (policy.quota * 1000))
  return {
    policy: counted.map(({ policy: { name, quota, seconds } }) => `"${name}";q=${quota};w=${seconds}`).join(', '),
    limit: counted
      .map((one) => `"${one.policy.name}";r=${Math.floor(one.bucket.left / grains(1, one.policy))};t=${full(one)}`)
      .join(', '),
  }
}

/** The network that an address is counted as: of IPv6 the /64, which is what one customer of a provider has. */
export function networkOfIp(ip: string): string {
  if (!ip.includes(':')) return ip
  const [head = '', tail] = ip.toLowerCase().split('::')
  const groups = head === '' ? [] : head.split(':')
  const rest = tail === undefined || tail === '' ? [] : tail.split(':')
  if (tail !== undefined) while (groups.length + rest.length < 8) groups.push('0')
  const first = [...groups, ...rest].slice(0, 4)
  return `${first.map((group) => group.replace(/^0+(?=.)/, '')).join(':')}::/64`
}

/** The limits of a key, of an account with all its keys, and of a network without either. */
export type RateLimits = Record<'key' | 'account' | 'ip', Policy>

const DEFAULT_CALLS = 60_000

/**
 * @param calls a minute of one key, as it is set: empty for the default, 0 for no limits
 * @param isDevelopment then there are none unless they are set
 * @throws Error when it is no such number
 */
export function rateLimits(calls: string | undefined, isDevelopment: boolean): RateLimits | null {
  const quota = calls ? Number(calls) : isDevelopment ? 0 : DEFAULT_CALLS
  if (!Number.isSafeInteger(quota) || quota < 0) throw new Error(`CALLS_PER_MINUTE is no number of calls: ${calls}`)
  if (quota === 0) return null
  const policy = (name: string, quota: number): Policy => ({ name, quota, seconds: 60 })
  return { key: policy('key', quota), account: policy('account', 2 * quota), ip: policy('ip', Math.ceil(quota / 10)) }
}
