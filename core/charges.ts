/** What each requester was charged for one provider's work, over all time: what its lanes come to. */
import type { Address } from './protocol.ts'

/** `mark` is what the provider had charged in all when this last grew; it says what changed since another mark. */
export type Charge = { requester: Address; amount: bigint; mark: bigint }
/** By requester, those that grew latest last. */
export type Charges = Map<Address, Charge>

/** @param total what the provider has charged in all, with this price */
export function addCharge(charges: Charges, requester: Address, price: bigint, total: bigint): void {
  const amount = (charges.get(requester)?.amount ?? 0n) + price
  charges.delete(requester)
  charges.set(requester, { requester, amount, mark: total })
}

/** Those that grew after `mark`, the earliest first, at most `limit`. */
export function chargesAfter(charges: Charges, mark: bigint, limit: number): Charge[] {
  const found: Charge[] = []
  for (const charge of charges.values()) {
    if (charge.mark > mark) found.push(charge)
    if (found.length === limit) break
  }
  return found
}
