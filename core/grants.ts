/** The last tasks that a market gave out and the offers that won them. Kept in memory alone, and only so many. */
import type { Match } from './matching.ts'
import type { Rule } from './protocol/decision.ts'

const KEPT = 1000

export type Grant = Match & { rule: Rule; at: number }
/** A ring: the oldest is overwritten. */
export type Grants = { kept: Grant[]; noted: number }

export const createGrants = (): Grants => ({ kept: [], noted: 0 })

export function noteGrant(grants: Grants, grant: Grant): void {
  grants.kept[grants.noted++ % KEPT] = grant
}

/** Latest first. */
export function* latestGrants({ kept, noted }: Grants): Generator<Grant> {
  for (let n = noted - 1; n >= 0 && n >= noted - KEPT; n--) yield kept[n % KEPT]!
}
