/** What follows from the attempts at a task. */
import type { Address } from './protocol/values.ts'
import type { Task } from './task.ts'

/** The number of the attempt that holds the lease, the later one of two; 0 when none does. */
export function currentAttempt({ state }: Task): number {
  return state.is === 'leased' || state.is === 'running' ? state.attempt : 0
}

const NONE: readonly number[] = []

/** The numbers of the attempts that hold a lease, the latest first: none, one, or two. */
export function leasedAttempts({ state }: Pick<Task, 'state'>): readonly number[] {
  if (state.is !== 'leased' && state.is !== 'running') return NONE
  return state.beside === undefined ? [state.attempt] : [state.attempt, state.beside]
}

/**
 * Whether an attempt may be begun beside the one that is under way: as many may still follow it, and only one result is asked for.
 * Not of a stream, which cannot go on from two, and not where its requester wants it cheap.
 */
export function mayHaveSecond(task: Task): boolean {
  const { spec } = task
  if (spec.stream || spec.assurance || spec.preference === 'cheapest') return false
  return leasedAttempts(task).length === 1 && triesOf(task) + 2 <= spec.maxAttempts
}

/** Since when the attempts ran that were under way when the task succeeded at `at`: of two, the one that was late. */
export function ranFrom({ attempts }: Pick<Task, 'attempts'>, winner: number, at: number): number {
  let from = attempts[winner - 1]!.grantedAt
  for (const { state, grantedAt } of attempts) {
    if (state.is === 'superseded' && state.at === at && grantedAt < from) from = grantedAt
  }
  return from
}

/** The providers whose results a task has: no further one may be theirs. */
export const deliverersOf = ({ attempts, deliveries = [] }: Task): Address[] =>
  deliveries.map(({ attempt }) => attempts[attempt - 1]!.provider)

/** Attempts that count against maxAttempts. */
export function triesOf(task: Task): number {
  return task.attempts.filter(({ state }) => state.is === 'failed' || state.is === 'lost').length
}
