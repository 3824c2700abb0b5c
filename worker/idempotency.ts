import type { Idempotency } from '#core/idempotency.ts'
import type { Address } from '#core/protocol/values.ts'
import { sha256 } from './auth.ts'

/** Hex digits of a digest that are kept: 128 bits. */
const KEPT = 32

/**
 * What names a submission that came with an Idempotency-Key; undefined for one without.
 * @param requests as they go to the market, so that what JSON leaves open, such as white space, makes no difference
 */
export async function idempotencyOf(
  header: string | undefined,
  account: Address,
  requests: string,
): Promise<Idempotency | undefined> {
  if (header === undefined) return undefined
  const [key, body] = await Promise.all([sha256(`${account} ${header}`), sha256(requests)])
  return { key: key.slice(0, KEPT), body: body.slice(0, KEPT) }
}
