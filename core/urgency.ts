/**
 * Tasks whose deadlines are at risk: they go first, and yet nobody's share is taken by whoever is in a hurry. A task is at risk when less
 * time is left than twice what 95 % of its class's tasks take to run, and half of its time is over. It then has another turn, as if
 * its requester had nothing else waiting, before the turns of all that is not at risk; a requester's tasks at risk have theirs one after
 * the other. So who lets everything run into its deadlines gets two shares at the most (borrowed virtual time, Duda and Cheriton 1999).
 */
import type { Book } from './book.ts'
import type { Kind } from './protocol/work.ts'
import { latencyView } from './stats.ts'
import type { TaskSpec } from './task.ts'

/** Requesters that are kept before those that have been passed are forgotten. */
const KEPT = 1024

export const middleOf = ({ createdAt, deadline }: TaskSpec): number => (createdAt + deadline) / 2

/** From when on a task of the class that waits is at risk; never, while nothing is known of how long its class runs. */
export function riskAt({ stats }: Book, of: { kind: Kind; model: string }, middle: number, deadline: number): number {
  const { runP95Ms } = latencyView(stats, of)
  return runP95Ms === null ? Number.POSITIVE_INFINITY : Math.max(middle, deadline - 2 * runP95Ms)
}

/** When it is to be looked at next whether a task that waits is at risk. Before half of its time is over that costs next to nothing. */
export function lookAt(book: Book, spec: TaskSpec, now: number): number {
  const middle = middleOf(spec)
  if (now < middle) return middle
  const at = riskAt(book, spec, middle, spec.deadline)
  return at > now ? at : Number.POSITIVE_INFINITY
}

/** The turn that a task which waits under this tag has because it is at risk; null when it is not, or would be no earlier. */
export function turnAtRisk(book: Book, spec: TaskSpec, tag: number, now: number): number | null {
  const middle = middleOf(spec)
  if (now < middle || now < riskAt(book, spec, middle, spec.deadline)) return null
  const turn = Math.max(book.fairness.virtual - 1, book.hurried.get(spec.requester) ?? Number.NEGATIVE_INFINITY)
  return turn < tag ? turn : null
}

/** A task of this requester was given this turn. */
export function noteTurn({ hurried, fairness }: Book, { requester }: Pick<TaskSpec, 'requester'>, turn: number): void {
  hurried.set(requester, turn + 1)
  if (hurried.size < KEPT) return
  for (const [other, next] of hurried) if (next < fairness.virtual) hurried.delete(other)
}
