/** Whose turn it is. */
import { classOf } from './matching.ts'
import type { Address } from './protocol/values.ts'
import type { Kind } from './protocol/work.ts'

/**
 * Start-time fair queueing (Goyal, Vin, Cheng 1996) over the tasks of one class, each weighing one. `hurried` has the next turns of
 * requesters whose tasks were at risk of their deadlines; see core/urgency.ts.
 */
export type Fairness = { virtual: number; finish: Map<Address, number>; hurried: Map<Address, number> }

export const createFairness = (): Fairness => ({ virtual: 0, finish: new Map(), hurried: new Map() })

/** That of a class: who waits for one model is in nobody's way who waits for another. */
export function fairnessOf(fairness: Map<string, Fairness>, of: { kind: Kind; model: string }): Fairness {
  const name = classOf(of)
  const known = fairness.get(name) ?? createFairness()
  fairness.set(name, known)
  return known
}

/** The tag of a requester's next task: its turn, counted from now, after those it has already queued. */
export const nextTag = (fairness: Fairness | undefined, requester: Address): number =>
  Math.max(fairness?.virtual ?? 0, fairness?.finish.get(requester) ?? 0)

/** Gives a requester's next task its tag. */
export function stamp(fairness: Fairness, requester: Address): number {
  const tag = nextTag(fairness, requester)
  fairness.finish.set(requester, tag + 1)
  return tag
}

/** Moves the queue's virtual time to the task being granted, and forgets requesters that it has passed. */
export function advance(fairness: Fairness, tag: number): void {
  if (tag <= fairness.virtual) return
  fairness.virtual = tag
  if (fairness.finish.size < 1024) return
  for (const [requester, finish] of fairness.finish) if (finish <= tag) fairness.finish.delete(requester)
}
