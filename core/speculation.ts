/**
 * Second attempts beside late ones (speculative execution: Dean, Ghemawat, "MapReduce", 2004). An attempt is late when a result of it is
 * hardly to be expected any more, as it was seen when it began: of its provider's attempts in the class so many bring one at all, and of
 * those so many take this long. With a provider that always brings one that is p95 of the run time forecast for this task, and sooner the
 * likelier it is to fail or to leave.
 *
 *   late from t on:  (1 - q) x S(t) <= 0.05
 *
 * | q    | the chance that the provider fails or leaves: 1 - the mean of its reputation in the class      |
 * | S(t) | the share of runs that take longer than t, by the forecast of this task's run; not before it is learned |
 *
 * A second attempt takes a provider that is free, so nobody waits for it. The first result that is accepted is paid; the other attempt
 * is revoked, and marks nobody.
 */
import { leasedAttempts, mayHaveSecond } from './attempts.ts'
import { type Book, leaseOf, type OpenTask } from './book.ts'
import { estimate } from './forecast/eta.ts'
import { quantileOf } from './forecast/remaining.ts'
import { bestSupply, classOf, type Match } from './matching.ts'
import { interval, NEWCOMER } from './reputation.ts'
import type { Task } from './task.ts'

/** With less than this chance that a result is still to come, another attempt is begun. */
const HARDLY = 0.05
/** A task is not looked at before it has run for so long, nor again before so long, so that short ones cost nothing. */
const LOOK_MS = 5_000
/** Looks are taken together: a market wakes for them once a second at the most. */
const TOGETHER_MS = 1_000

const together = (at: number): number => Math.ceil(at / TOGETHER_MS) * TOGETHER_MS

/** When an attempt that begins now is looked at first; never, for a task that may have no second. */
export const firstLook = (task: Task, now: number): number =>
  mayHaveSecond(task) ? together(now + LOOK_MS) : Number.POSITIVE_INFINITY

/** From when on the attempt under way is late; never, while nothing is learned of how long its class runs. */
function lateFrom({ outlooks, providers }: Book, task: Task): number {
  const outlook = outlooks.get(classOf(task.spec))
  if (!outlook) return Number.POSITIVE_INFINITY
  const { run } = estimate(outlook.eta, { idle: true, ahead: 0, oldestMs: 0, size: task.spec.maxUnits })
  if (run.basis === 'early') return Number.POSITIVE_INFINITY
  const { provider, grantedAt } = task.attempts[leasedAttempts(task)[0]! - 1]!
  const { mean } = interval(providers.get(provider)!.reputations.get(classOf(task.spec)) ?? NEWCOMER)
  return grantedAt + quantileOf(run, Math.max(0, 1 - HARDLY / mean))
}

/** Who begins a second attempt at the task now; null when its first is not late, or nobody is free. The lease says when to look again. */
export function secondFor(book: Book, open: OpenTask, now: number): Match | null {
  const { task, want } = open
  const lease = leaseOf(book, open)
  if (!lease || now < (lease.checkAt ?? Number.POSITIVE_INFINITY)) return null
  const lateAt = mayHaveSecond(task) && want.only === undefined ? lateFrom(book, task) : Number.POSITIVE_INFINITY
  lease.checkAt = together(Math.max(lateAt, now + LOOK_MS))
  if (now < lateAt) return null
  const exclude = [...want.exclude, ...task.attempts.map(({ provider }) => provider)]
  return bestSupply(book.matching, { ...want, exclude }, now)
}
