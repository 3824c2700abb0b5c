/** The provider's part of a receipt. */
import { createHash } from 'node:crypto'
import { joinOutput } from '#core/continuation.ts'
import { parseLeaseId } from '#core/lease.ts'
import { formatAmount, parseAmount } from '#core/money.ts'
import { meter } from '#core/pricing.ts'
import type { Lease, Result } from '#core/protocol/lease.ts'
import type { Offer } from '#core/protocol/provider.ts'
import { hashOfJson, hashOfRequest, prefixOf } from '#core/receipt.ts'
import type { Edge } from './edge.ts'

const hash = async (text: string) => createHash('sha256').update(text).digest('hex')

/** A result with its receipt signed, if it is a success on terms that were offered. */
export async function signResult(
  edge: Pick<Edge, 'signReceipt'>,
  offers: Offer[],
  lease: Lease,
  result: Result,
): Promise<Result> {
  const { outcome } = result
  const { terms, prefix, kind, model, maxUnits } = lease
  const id = parseLeaseId(lease.id)
  if (outcome.status !== 'succeeded' || !terms || !id) return result
  // What the edge says of our model must be what we said: the signature vouches for it.
  const offer = offers.find((offer) => offer.kind === kind && offer.model === model)
  if ((offer?.digest ?? null) !== terms.digest) return result
  const units = meter(kind, outcome.usage, maxUnits - (prefix?.tokens ?? 0))
  const input = await hashOfJson(lease.input, hash)
  const request = { kind, model, digest: terms.digest, input, prefix: await prefixOf(prefix, hash) }
  const signed = await edge.signReceipt(
    {
      ...id,
      requester: terms.requester,
      ...request,
      request: await hashOfRequest(request, hash),
      output: await hashOfJson(joinOutput(prefix, outcome.output), hash),
      units,
      price: formatAmount(parseAmount(terms.ask) * BigInt(units)),
    },
    hash,
  )
  return signed ? { ...result, outcome: { ...outcome, signed } } : result
}
