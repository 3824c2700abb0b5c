import { parseKey } from './auth.ts'
import type { Network } from './env.ts'

/** Of the tasks of a class so many are followed by a canary, unless told: as much as the network's fee brings. */
const SHARE = 0.01

/**
 * Who pays for canaries, by which purse, and how many there are; null where nobody does.
 * @throws what an operator must mend
 */
export function canarySettings(keys: string | undefined, share: string | undefined) {
  if (!keys) return null
  const payers = keys.split(',').map((key) => {
    const parsed = parseKey(key.trim())
    if (!parsed) throw new Error('CANARY_KEYS must be API keys of this edge, separated by commas')
    return { address: parsed.address, key: parsed.id }
  })
  const of = share ? Number(share) : SHARE
  if (!(of > 0 && of <= 1)) throw new Error(`CANARY_SHARE must be more than 0 and at most 1: ${share}`)
  return { payers, share: of }
}
export type CanarySettings = NonNullable<Network['canaries']>
