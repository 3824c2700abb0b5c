/**
 * What a market learns of each class of work, so that it can say what is ahead: how many tasks come, the price index, and when a
 * task will start and finish. On a task's path it only counts, and looks at a few tasks a second more closely; the series learn
 * when ten minutes are over.
 *
 * | figure      | formula                                                                                              |
 * |-------------|------------------------------------------------------------------------------------------------------|
 * | demand      | tasks submitted from one roll-up that began a bin to the next, as a rate for ten minutes             |
 * | price index | sum of prices / sum of units of the tasks that succeeded in the same time; not known when there were none |
 * | earnings    | sum of prices / slots of those who offer the class, as a rate for an hour; not known when there are none |
 * | supply      | slots of those who offer the class when the bin ends                                                  |
 * | success     | tasks that succeeded / tasks that succeeded, failed or expired; not known of less than ten           |
 */
import { ranFrom } from './attempts.ts'
import type { Book } from './book.ts'
import { createEta, type Eta, estimate, finished, kept, keptOf, type Sight, started } from './forecast/eta.ts'
import { BIN_MS, DAY_BINS, WEEK_BINS } from './forecast/history.ts'
import { createGuarded, type Guarded, guard } from './forecast/incident.ts'
import { createSeries, forecastOf, observe, type Series } from './forecast/series.ts'
import { createTrack, followHour, type Track } from './forecast/track.ts'
import { aheadOf, classOf, type Want } from './matching.ts'
import type { Task } from './task.ts'

export const TEN_MINUTES = { from: 1, to: 1 }
export const HOUR = { from: 1, to: 6 }
export const DAY = { from: 1, to: DAY_BINS }

export type Outlook = {
  demand: Series
  /** Base units for one unit. */
  price: Series
  /** Base units for an hour of a slot. */
  earnings: Series
  eta: Eta
  supply: Guarded
  success: Guarded
  tracks: { demand: Track; price: Track; earnings: Track }
  /** Since the bin began: tasks submitted, that succeeded, that did not; units paid for, and what was paid for them in base units. */
  submitted: number
  succeeded: number
  failed: number
  units: number
  paid: number
  /** When a task was submitted last, and when one that is followed was. */
  usedAt: number
  followedAt: number
  /** Tasks whose estimates await what comes, by id, oldest first. */
  followed: Map<string, Followed>
}

/** `estimate`: as `keptOf` gives it. */
type Followed = { at: number; estimate: Float32Array; waits: boolean }

/** Of the tasks of a class so many are followed: one in so long, and so many at a time. */
const FOLLOW_MS = 100
const FOLLOWED = 16
/** A class without a task for so long is forgotten, as its series would be. */
const FORGET_MS = WEEK_BINS * BIN_MS
const HOUR_MS = 3_600_000

export const createOutlook = (): Outlook => ({
  demand: createSeries([TEN_MINUTES, HOUR, DAY]),
  price: createSeries([HOUR], false),
  earnings: createSeries([HOUR], false),
  eta: createEta(),
  supply: createGuarded(),
  success: createGuarded(),
  tracks: { demand: createTrack(), price: createTrack(), earnings: createTrack() },
  submitted: 0,
  succeeded: 0,
  failed: 0,
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
  followed.set(spec.id, { at, estimate: keptOf(estimate(eta, sight)), waits: true })
}

/** A task was given to a provider. */
export function noteGranted({ outlooks }: Book, { spec, attempts }: Task): void {
  const outlook = outlooks.get(classOf(spec))
  const task = outlook?.followed.get(spec.id)
  if (!task?.waits) return
  const { eta } = outlook!
  const waitMs = attempts.at(-1)!.grantedAt - task.at
  // Somebody was idle: who it was is not in the book, so that is known only now.
  if (waitMs === 0) {
    const { size } = kept(task.estimate).sight
    task.estimate = keptOf(estimate(eta, { size, idle: true, ahead: 0, oldestMs: 0 }))
  }
  task.waits = false
  started(eta, kept(task.estimate), waitMs)
}

/** A task is over. */
export function noteEnded({ outlooks }: Book, ended: Task): void {
  const { spec, state, deliveries = [] } = ended
  const outlook = outlooks.get(classOf(spec))
  if (!outlook) return
  const { followed, eta } = outlook
  const task = followed.get(spec.id)
  followed.delete(spec.id)
  if (state.is === 'failed' || state.is === 'expired') outlook.failed++
  if (state.is !== 'succeeded') return
  outlook.succeeded++
  outlook.units += state.units
  outlook.paid += Number(state.price)
  if (task && deliveries.length < 2)
    finished(eta, kept(task.estimate), state.at - task.at, state.at - ranFrom(ended, state.attempt, state.at))
}

/** True when a bin began after the one under way. */
export const isBinOver = ({ binFrom }: Book, now: number): boolean =>
  binFrom === null || Math.floor(now / BIN_MS) > Math.floor(binFrom / BIN_MS)

/** Slots of the active providers that offer each class, by its name. */
export type Supplies = Map<string, number>

/**
 * What was counted since the bin began is learned, unless that was far from ten minutes ago: the market was away.
 * @param supplies what is there now; undefined when that is not known
 */
export function closeBin(book: Book, at: number, supplies: Supplies | undefined): void {
  const { binFrom, outlooks } = book
  const elapsed = binFrom === null ? 0 : at - binFrom
  const whole = elapsed > BIN_MS / 2 && elapsed < 1.5 * BIN_MS
  for (const [name, outlook] of outlooks) {
    if (whole) learnBin(outlook, binFrom!, elapsed, supplies && (supplies.get(name) ?? 0), at)
    Object.assign(outlook, { submitted: 0, succeeded: 0, failed: 0, units: 0, paid: 0 })
    if (at - outlook.usedAt > FORGET_MS) outlooks.delete(name)
  }
  book.binFrom = at
}

/** A share of fewer tasks says little. */
const LEAST_ENDED = 10

function learnBin(outlook: Outlook, from: number, elapsed: number, slots: number | undefined, at: number): void {
  const { submitted, succeeded, failed, units, paid, tracks } = outlook
  const values = {
    demand: (submitted * BIN_MS) / elapsed,
    price: units > 0 ? paid / units : Number.NaN,
    earnings: slots ? ((paid / slots) * HOUR_MS) / elapsed : Number.NaN,
  }
  for (const what of ['demand', 'price', 'earnings'] as const) {
    const series = outlook[what]
    observe(series, from, values[what])
    tracks[what] = followHour(tracks[what], Math.floor(from / BIN_MS), values[what], () => forecastOf(series, HOUR))
  }
  guard(outlook.supply, slots ?? null, at)
  const ended = succeeded + failed
  guard(outlook.success, ended < LEAST_ENDED ? null : succeeded / ended, at)
}
