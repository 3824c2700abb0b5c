/** A lease: the exclusive right of one provider to run one attempt at a task, until it expires. */

/** How long a lease lasts unless it is renewed. */
export const LEASE_MS = 30_000
/** How long after its provider's socket closed a lease still waits for it to come back. */
export const GRACE_MS = 2_000

/** `<task>.<attempt>`: attempts are numbered from 1 and never reused, so the number fences off every earlier holder. */
export const leaseId = (task: string, attempt: number): string => `${task}.${attempt}`

export function parseLeaseId(lease: string): { task: string; attempt: number } | null {
  const dot = lease.lastIndexOf('.')
  const attempt = Number(lease.slice(dot + 1))
  return dot > 0 && Number.isInteger(attempt) && attempt > 0 ? { task: lease.slice(0, dot), attempt } : null
}

/** How long a task keeps away from the providers that failed it: 2 s, 4 s, 8 s ... at most a minute. */
export const backoffMs = (tries: number): number => Math.min(1000 * 2 ** tries, 60_000)
