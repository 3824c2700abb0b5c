/**
 * The outbox of an object: what it still has to tell others. An entry is only a wake-up signal, by a key that names the entity:
 * the handler reads the present truth and acts on it, so handlers are idempotent, several signals are one, and after a restart
 * the entries are derived again from that truth. One entity is handled by one call at a time; a failing one backs off, then parks.
 */
const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 60_000
const PARK_AFTER = 10
const PARKED_MS = 15 * 60_000
const AT_ONCE = 4
/**
 * How long an alarm is held open for its effects. The platform rings none while one is answered, so that an effect that hangs
 * would hold up all that come due after it.
 */
export const ALARM_MS = 1_000

type Entry = {
  at: number
  attempts: number
  running: boolean /** Signalled while running: when to run again. */
  again: number | null
}

export type Outbox = { entries: Map<string, Entry> }

export const createOutbox = (): Outbox => ({ entries: new Map() })

/** Asks for `key` to be handled at `at` or later; an earlier signal for it stands. */
export function signal(outbox: Outbox, key: string, at: number): void {
  const entry = outbox.entries.get(key)
  if (!entry) outbox.entries.set(key, { at, attempts: 0, running: false, again: null })
  else if (entry.running) entry.again = Math.min(at, entry.again ?? at)
}

/** When the earliest entry is due, or null. */
export function nextSignal(outbox: Outbox): number | null {
  let next: number | null = null
  for (const { at, running } of outbox.entries.values()) if (!running && (next === null || at < next)) next = at
  return next
}

export type Drain = {
  now: () => number
  handle: (key: string) => Promise<void>
  /** Told of every failure; `parked` when it is left alone for a long while. */
  failed: (key: string, error: unknown, parked: boolean) => void
}

/** Handles every entry that is due, a few at a time. Another may begin while one lasts: it takes what this has not come to. */
export async function drain(outbox: Outbox, { now, handle, failed }: Drain): Promise<void> {
  const due = [...outbox.entries].filter(([, entry]) => !entry.running && entry.at <= now())
  const worker = async () => {
    for (let next = due.shift(); next; next = due.shift()) {
      const [key, entry] = next
      if (entry.running || entry.at > now() || outbox.entries.get(key) !== entry) continue
      entry.running = true
      try {
        await handle(key)
        if (entry.again !== null) Object.assign(entry, { at: entry.again, attempts: 0, again: null, running: false })
        else outbox.entries.delete(key)
      } catch (error) {
        entry.attempts++
        const parked = entry.attempts >= PARK_AFTER
        const wait = parked ? PARKED_MS : Math.min(FIRST_RETRY_MS * 2 ** (entry.attempts - 1), LAST_RETRY_MS)
        Object.assign(entry, { at: now() + wait, attempts: parked ? 0 : entry.attempts, again: null, running: false })
        failed(key, error, parked)
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}
