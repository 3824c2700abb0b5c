/**
 * Canaries: tasks of the operator's own of which the right answer is known, asked for like any other. What a quorum of the operator's
 * own agreed upon is known from then on, and is asked of others without telling them.
 *
 * | of a canary                         |                                                                           |
 * |-------------------------------------|---------------------------------------------------------------------------|
 * | the first result is right           | it ends and is paid, as a task without an assurance                       |
 * | it is not                           | others are drawn, up to nine in all; it stands refuted once two were right |
 * | two can not be right any more       | it fails, costs nothing and marks nobody: the answer may be the wrong one |
 * | anybody was wrong                   | it is used up, for whoever was wrong knows it now                         |
 *
 * So one liar does not make it right, and neither does a majority of them, as it does where results are only held against each other.
 */
import { type Checked, fewOf } from './assurance.ts'
import { blobsIn } from './blob.ts'
import type { TaskRequest } from './request.ts'
import { sizeOf } from './snapshot.ts'
import type { Task } from './task.ts'

/** To ask for. `exclude` has all who have seen it. */
export type Canary = TaskRequest & { model: string } & Required<Pick<TaskRequest, 'canary'>>

/** A quorum that no requester may ask for: two of nine, who agree with what is known. */
export const CHECK = { level: 'quorum', n: 9, k: 2 } as const satisfies Checked

/** Of so many who have seen it one may have told others. */
const MOST_SEEN = 50

/**
 * What is known since this task has ended, or null. What refers to a blob is none, for blobs are kept for a time; and a chat is
 * written the same again only by the model of which the digest is known.
 */
export function learn({ spec, attempts, state }: Task): Canary | null {
  const { kind, model, input, assurance } = spec
  if (!assurance || spec.canary || state.is !== 'succeeded' || blobsIn(kind, input).length > 0) return null
  const agreed = attempts.filter((attempt) => attempt.state.is === 'succeeded')
  const digest = agreed[0]!.digest ?? null
  if (agreed.length < CHECK.k || (kind === 'llm.chat' && digest === null)) return null
  const variant = spec.variant ?? { digest: null, minBits: 0, capabilities: [] }
  return {
    kind,
    model,
    variant: kind === 'llm.chat' ? { ...variant, digest } : spec.variant,
    input,
    ...(spec.inputHash !== undefined && { inputHash: spec.inputHash }),
    bytes: spec.bytes + sizeOf(state.output),
    bid: spec.bid,
    maxUnits: spec.maxUnits,
    preference: spec.preference,
    // Of whom the operator asked for the answer is one thing, who is held to it another.
    minReputation: 0,
    minContext: spec.minContext,
    region: null,
    exclude: attempts.map(({ provider }) => provider),
    deadlineMs: spec.deadline - spec.createdAt,
    maxAttempts: spec.maxAttempts,
    stream: false,
    assurance: { ...CHECK, ...(assurance.tolerance !== undefined && { tolerance: assurance.tolerance }) },
    canary: { id: spec.id, output: state.output },
  }
}

/** The canary after this task of it, or null when it is used up. */
export function afterwards(canary: Canary, task: Task): Canary | null {
  // A result that others were to be drawn for was wrong, whatever became of the task after it.
  if (task.attempts.some(({ state }) => state.is === 'refuted' || state.is === 'delivered')) return null
  const seen = [...new Set([...canary.exclude, ...task.attempts.map(({ provider }) => provider)])]
  return seen.length > MOST_SEEN ? null : { ...canary, exclude: seen }
}

/**
 * The chance that a wrong result of a canary is refuted.
 * @param wrong the share of those who may be asked that would be wrong too
 */
export const refutes = (wrong: number): number => fewOf(CHECK.n - 1 - CHECK.k, CHECK.n - 1, wrong)
