/**
 * What a market learns of each class of work, so that it can say what is ahead: how many tasks come, the price index, and when a
 * task will start and finish. On a task's path it only counts, and looks at a few tasks a second more closely; the series learn
 * when ten minutes are over.
 *
 * | figure      | formula                                                                                              |
 * |-------------|------------------------------------------------------------------------------------------------------|
 * | demand      | tasks submitted from one roll-up that began a bin to the next, as a rate for ten minutes             |
 * | price index | sum of prices / sum of units of the tasks that succeeded in the same time; not known when there were none |
 */
import type { Book } from './book.ts'
import { createEta, type Estimate, type Eta, estimate, finished, type Sight, started } from './forecast/eta.ts'
import { BIN_MS, DAY_BINS, WEEK_BINS } from './forecast/history.ts'
import { createSeries, observe, type Series } from './forecast/series.ts'
import { aheadOf, classOf, type Want } from './matching.ts'
import type { Task } from './task.ts'

export const TEN_MINUTES = { from: 1, to: 1 }
export const HOUR = { from: 1, to: 6 }
export const DAY = { from: 1, to: DAY_BINS }

export type Outlook = {
  demand: Series
  /** Base units for one unit. */
  price: Series
  eta: Eta
  /** Since the bin began: tasks submitted, units paid for, and what was paid for them in base units. */
  submitted: number
  units: number
  paid: number
  /** When a task was submitted last, and when one that is followed was. */
  usedAt: number
  followedAt: number
  /** Tasks whose estimates await what comes, by id, oldest first. */
  followed: Map<string, Followed>
}

type Followed = { at: number; estimate: Estimate; waits: boolean }

/** Of the tasks of a class so many are followed: one in so long, and so many at a time. */
const FOLLOW_MS = 100
const FOLLOWED = 64
/** A class without a task for so long is forgotten, as its series would be. */
const FORGET_MS = WEEK_BINS * BIN_MS

const createOutlook = (): Outlook => ({
  demand: createSeries([TEN_MINUTES, HOUR, DAY]),
  price: createSeries([HOUR]),
  eta: createEta(),
  submitted: 0,
  units: 0,
  paid: 0,
  usedAt: 0,
  followedAt: 0,
  followed: new Map(),
})

/** Where a task of these units would stand in its class's queue. */
export const sightOf = (outlook: Outlook, ahead: number, idle: boolean, size: number, now: number): Sight => {
  const oldest = [...outlook.followed.values()].find(({ waits }) => waits)
  return { idle, ahead, oldestMs: oldest && ahead > 0 ? now - oldest.at : 0, size }
}

/** A task came, and stands in its queue. */
export function noteSubmitted({ outlooks, matching }: Book, { spec }: Task, want: Want): void {
  const name = classOf(spec)
  const outlook = outlooks.get(name) ?? createOutlook()
  outlooks.set(name, outlook)
  const { followed, followedAt, eta } = outlook
  const at = spec.createdAt
  outlook.submitted++
  outlook.usedAt = at
  if (followed.size >= FOLLOWED || at - followedAt < FOLLOW_MS) return
  outlook.followedAt = at
  const sight = sightOf(outlook, aheadOf(matching, want), false, spec.maxUnits, at)
  followed.set(spec.id, { at, estimate: estimate(eta, sight), waits: true })
}

/** A task was given to a provider. */
export function noteGranted({ outlooks }: Book, { spec, attempts }: Task): void {
  const outlook = outlooks.get(classOf(spec))
  const task = outlook?.followed.get(spec.id)
  if (!task?.waits) return
  const { eta } = outlook!
  const waitMs = attempts.at(-1)!.grantedAt - task.at
  // Somebody was idle: who it was is not in the book, so that is known only now.
  if (waitMs === 0) task.estimate = estimate(eta, { ...task.estimate.sight, idle: true, ahead: 0, oldestMs: 0 })
  task.waits = false
  started(eta, task.estimate, waitMs)
}

/** A task is over. */
export function noteEnded({ outlooks }: Book, { spec, state, attempts, deliveries = [] }: Task): void {
  const outlook = outlooks.get(classOf(spec))
  if (!outlook) return
  const { followed, eta } = outlook
  const task = followed.get(spec.id)
  followed.delete(spec.id)
  if (state.is !== 'succeeded') return
  outlook.units += state.units
  outlook.paid += Number(state.price)
  if (task && deliveries.length < 2)
    finished(eta, task.estimate, state.at - task.at, state.at - attempts[state.attempt - 1]!.grantedAt)
}

/** True when a bin began after the one under way. */
export const isBinOver = ({ binFrom }: Book, now: number): boolean =>
  binFrom === null || Math.floor(now / BIN_MS) > Math.floor(binFrom / BIN_MS)

/** What was counted since the bin began is learned, unless that was far from ten minutes ago: the market was away. */
export function closeBin(book: Book, at: number): void {
  const { binFrom, outlooks } = book
  const elapsed = binFrom === null ? 0 : at - binFrom
  const whole = elapsed > BIN_MS / 2 && elapsed < 1.5 * BIN_MS
  for (const [name, outlook] of outlooks) {
    const { demand, price, submitted, units, paid } = outlook
    if (whole) {
      observe(demand, binFrom!, (submitted * BIN_MS) / elapsed)
      observe(price, binFrom!, units > 0 ? paid / units : Number.NaN)
    }
    Object.assign(outlook, { submitted: 0, units: 0, paid: 0 })
    if (at - outlook.usedAt > FORGET_MS) outlooks.delete(name)
  }
  book.binFrom = at
}
