/** What each requester was charged for one provider's work, over all time: what its lanes come to. */
import type { Address } from './protocol/values.ts'
import { laneOf } from './purse.ts'
import type { TaskSpec } from './task.ts'

type Hex = `0x${string}`

/** `account`: the one on the chain, where the requester signs for it itself. `mark` is what the provider had charged in all when this last grew; it says what changed since another mark. */
export type Charge = { requester: Address; account?: Hex; amount: bigint; mark: bigint }
/** By requester, or by account where the requester signs itself; those that grew latest last. */
export type Charges = Map<string, Charge>

/** @param total what the provider has charged in all, with this price */
export function addCharge(
  charges: Charges,
  by: Pick<TaskSpec, 'requester' | 'purse'>,
  price: bigint,
  total: bigint,
): void {
  const { requester, purse } = by
  const account = laneOf(purse)?.account
  const payer = account ?? requester
  const amount = (charges.get(payer)?.amount ?? 0n) + price
  charges.delete(payer)
  charges.set(payer, { requester, ...(account && { account }), amount, mark: total })
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
