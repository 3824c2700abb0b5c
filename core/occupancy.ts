/** How much of a market's room each requester's open tasks take. */
import { DomainError } from './errors.ts'
import type { Address } from './protocol/values.ts'

/** The most a market holds open; beyond that it sheds. Inputs live in its memory, which the platform bounds at 128 MB. */
export const CAPACITY = { tasks: 112_000, bytes: 48 * 1024 * 1024 }
/**
 * A requester may have this many times as much open as is free: alone it gets nine tenths of the room, some 100,000 tasks, with others an even
 * share of what there is, and whoever comes new always finds some (dynamic thresholds, Choudhury and Hahne 1998).
 */
const SHARE = 9
const RETRY_SECONDS = 5

/** `tasks` and `bytes` of all; `by` each requester that has any. */
export type Occupancy = { tasks: number; bytes: number; by: Map<Address, { tasks: number; bytes: number }> }

export const createOccupancy = (): Occupancy => ({ tasks: 0, bytes: 0, by: new Map() })

/** Notes that so much more of a requester's is open, or less. */
export function occupy(occupancy: Occupancy, requester: Address, tasks: number, bytes: number): void {
  const own = occupancy.by.get(requester) ?? { tasks: 0, bytes: 0 }
  own.tasks += tasks
  own.bytes += bytes
  occupancy.tasks += tasks
  occupancy.bytes += bytes
  if (own.tasks === 0) occupancy.by.delete(requester)
  else occupancy.by.set(requester, own)
}

/** Refuses what the market has no room for, or no more for this requester. @throws DomainError overloaded, open_tasks_limit */
export function checkRoom(occupancy: Occupancy, requester: Address, tasks: number, bytes: number): void {
  const freeTasks = CAPACITY.tasks - occupancy.tasks - tasks
  const freeBytes = CAPACITY.bytes - occupancy.bytes - bytes
  if (freeTasks < 0 || freeBytes < 0) throw new DomainError('overloaded', { retryAfterSeconds: RETRY_SECONDS })
  const own = occupancy.by.get(requester)
  if ((own?.tasks ?? 0) + tasks <= SHARE * freeTasks && (own?.bytes ?? 0) + bytes <= SHARE * freeBytes) return
  throw new DomainError('open_tasks_limit', {
    detail: `${own?.tasks ?? 0} of your tasks are open, and there is room for ${freeTasks + tasks} more in all`,
    retryAfterSeconds: RETRY_SECONDS,
  })
}
