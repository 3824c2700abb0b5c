/** Whose turn it is. */
import type { Address } from './protocol/values.ts'

/** Start-time fair queueing (Goyal, Vin, Cheng 1996), each task of a requester weighing one. */
export type Fairness = { virtual: number; finish: Map<Address, number> }

export const createFairness = (): Fairness => ({ virtual: 0, finish: new Map() })

/** The tag of a requester's next task: its turn, counted from now, after those it has already queued. */
export const nextTag = ({ virtual, finish }: Fairness, requester: Address): number =>
  Math.max(virtual, finish.get(requester) ?? 0)

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
