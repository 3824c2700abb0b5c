/**
 * Idempotency keys: a submission that names one is accepted once, and sent again it is answered with the same tasks for a day.
 * Keys belong to an account. A refused submission uses up no key.
 */
import { DomainError } from './errors.ts'

export const KEY_MS = 24 * 3_600_000

/** Digests of a key together with its account, and of what was asked for under it: neither text is kept. */
export type Idempotency = { key: string; body: string }

/** What was accepted under a key, and when (Unix milliseconds). */
export type Accepted = { body: string; tasks: string[]; at: number }

/**
 * The tasks that an earlier submission made under this key, or null when there was none within a day.
 * @throws DomainError idempotency_conflict when it asked for something else
 */
export function tasksOfEarlier(earlier: Accepted | undefined, { body }: Idempotency, now: number): string[] | null {
  if (!earlier || now - earlier.at >= KEY_MS) return null
  if (earlier.body !== body) throw new DomainError('idempotency_conflict')
  return earlier.tasks
}
