/**
 * How much of each day every provider was there, as its market sees it every ten minutes; the last thirty days. What the market did not
 * look at counts for nobody.
 */
import type { Address } from '#core/protocol/values.ts'
import type { ProviderHistory } from '#core/provider-history.ts'
import { used } from '../usage.ts'

/** `number`: since 1970; `active`: looks at which each was there. */
type Day = { number: number; lookedAt: number; looks: number; active: Map<Address, number> }

const DAY_MS = 86_400_000
const LOOK_MS = 600_000
const KEPT_DAYS = 30

export type Presence = ReturnType<typeof openPresence>

export function openPresence(storage: DurableObjectStorage) {
  let today: Day | null = null

  const key = (number: number) => `presence:${number}`
  const read = (number: number): Day | null =>
    today?.number === number ? today : (storage.kv.get<Day>(key(number)) ?? null)
  const forget = (number: number) => {
    if (storage.kv.delete(key(number))) used.market.rowsWritten++
  }

  return {
    /** Looks, when the last look was long enough ago. An idle market forgets between any two, so each is written. */
    look(active: () => Iterable<Address>, now: number): void {
      const number = Math.floor(now / DAY_MS)
      const known = read(number)
      if (!known) forget(number - KEPT_DAYS)
      today = known ?? { number, lookedAt: Number.NEGATIVE_INFINITY, looks: 0, active: new Map() }
      if (now - today.lookedAt < LOOK_MS) return
      today.lookedAt = now
      today.looks++
      for (const address of active()) today.active.set(address, (today.active.get(address) ?? 0) + 1)
      storage.kv.put(key(number), today)
      used.market.rowsWritten++
    },

    /** @param since when it registered: looks before that say nothing of it */
    of(provider: Address, since: number, now: number): ProviderHistory['days'] {
      const last = Math.floor(now / DAY_MS)
      const first = Math.max(Math.floor(since / DAY_MS), last - KEPT_DAYS + 1)
      const days: ProviderHistory['days'] = []
      for (let number = first; number <= last; number++) {
        const day = read(number)
        if (!day) continue
        const active = day.active.get(provider) ?? 0
        const own = Math.ceil(((number + 1) * DAY_MS - since) / LOOK_MS)
        const looks = Math.max(active, Math.min(day.looks, own))
        days.push({ day: new Date(number * DAY_MS).toISOString().slice(0, 10), looks, active })
      }
      return days
    },
  }
}
