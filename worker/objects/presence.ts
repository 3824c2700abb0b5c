/**
 * How much of each day every provider was there, as its market sees it once a minute; the last thirty days. A minute in which the market
 * did not look is none of anybody's.
 */

import type { Address } from '#core/protocol/values.ts'
import type { ProviderHistory } from '#core/provider-history.ts'
import { used } from '../usage.ts'

/** Since 1970; `active`: minutes in which each was there. */
type Day = { day: number; minutes: number; active: Map<Address, number> }

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
const KEPT_DAYS = 30
/** Looks between two writes; a market that dies forgets so many. */
const LOOKS_A_WRITE = 10

export type Presence = ReturnType<typeof openPresence>

export function openPresence(storage: DurableObjectStorage) {
  let today: Day | null = null
  const read = (day: number) => storage.kv.get<Day>(`presence:${day}`)
  const save = (day: Day) => {
    storage.kv.put(`presence:${day.day}`, day)
    used.market.rowsWritten++
  }

  function begin(number: number): Day {
    if (today) save(today)
    if (storage.kv.delete(`presence:${number - KEPT_DAYS}`)) used.market.rowsWritten++
    return read(number) ?? { day: number, minutes: 0, active: new Map() }
  }

  return {
    /** Once a minute. */
    look(active: Iterable<Address>, now: number): void {
      const number = Math.floor(now / DAY_MS)
      if (today?.day !== number) today = begin(number)
      today.minutes++
      for (const address of active) today.active.set(address, (today.active.get(address) ?? 0) + 1)
      if (today.minutes % LOOKS_A_WRITE === 0) save(today)
    },

    /** @param since when it registered: minutes before that are not its own */
    of(provider: Address, since: number, now: number): ProviderHistory['days'] {
      const last = Math.floor(now / DAY_MS)
      const first = Math.max(Math.floor(since / DAY_MS), last - KEPT_DAYS + 1)
      const days: ProviderHistory['days'] = []
      for (let number = first; number <= last; number++) {
        const day = today?.day === number ? today : read(number)
        if (!day) continue
        const active = day.active.get(provider) ?? 0
        const own = Math.ceil(((number + 1) * DAY_MS - since) / MINUTE_MS)
        const minutes = Math.max(active, Math.min(day.minutes, own))
        days.push({ day: new Date(number * DAY_MS).toISOString().slice(0, 10), minutes, active })
      }
      return days
    },
  }
}
