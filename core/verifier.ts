/**
 * Who gives a further result of an assured task: drawn among all that may run it, whatever their merit and whether they are busy. Who
 * could foresee it, as the cheapest that is free, would keep an address of its own there.
 */
import { type Match, type Matching, offerExclusion, type Want } from './matching.ts'
import { inOrder } from './ordered-index.ts'

/**
 * Costs a look at each offer of the class.
 * @param lot in 0..1
 * @param isBusy whether a provider without room has work
 * @returns null when none may run it
 */
export function drawVerifier(
  matching: Matching,
  want: Want,
  lot: number,
  isBusy: (supply: Match['supply']) => boolean,
  now: number,
): Match | null {
  const tree = matching.listings.get(want.kind)?.get(want.model)?.[want.preference]
  if (!tree) return null
  const candidates: Match[] = []
  for (const { supply, offer } of inOrder(matching.offers, tree)) {
    const reason = offerExclusion(want, supply, offer, now)
    if (reason === null || (reason === 'slot' && isBusy(supply))) candidates.push({ want, supply, offer })
  }
  return candidates[Math.floor(lot * candidates.length)] ?? null
}
