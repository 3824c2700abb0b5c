/** What a market counts of itself as it goes: totals, minutes, the latest tasks. Bounded, and part of its snapshot. */
import { currentAttempt, ranFrom } from './attempts.ts'
import { classOf } from './matching.ts'
import { formatAmount } from './money.ts'
import type { ModelLatency } from './protocol/model.ts'
import type { Minute, TaskSummary } from './protocol/network.ts'
import type { Kind } from './protocol/work.ts'
import { type Attempt, statusOf, type Task } from './task.ts'

export const MINUTE_MS = 60_000
export const MINUTES_KEPT = 60
const LATEST_KEPT = 20
/** Waits are counted in buckets that grow by the square root of two, from one millisecond to about six hours. */
const WAIT_BUCKETS = 50

type MinuteCount = {
  at: number
  submitted: number
  succeeded: number
  failed: number
  waits: number[]
  volume: bigint
}

/** How long the tasks of one class wait and run, in buckets as above. */
type Latency = { waits: number[]; runs: number[] }
/** With so many counted, half are forgotten, so that the latest weigh most. */
const LATENCY_COUNTED = 1000

export type Stats = {
  totalTasks: number
  ended: Record<'succeeded' | 'failed' | 'cancelled' | 'expired', number>
  /** Oldest first, at most 60; minutes in which nothing happened are left out. */
  minutes: MinuteCount[]
  /** Oldest first, at least the last 20. */
  latest: TaskSummary[]
  /** By class. */
  latency: Map<string, Latency>
}

export function createStats(): Stats {
  return {
    totalTasks: 0,
    ended: { succeeded: 0, failed: 0, cancelled: 0, expired: 0 },
    minutes: [],
    latest: [],
    latency: new Map(),
  }
}

export function countSubmitted(stats: Stats, task: Task): void {
  stats.totalTasks++
  minuteOf(stats, task.spec.createdAt).submitted++
  stats.latest.push(summaryOf(task))
  if (stats.latest.length > LATEST_KEPT * 4) stats.latest.splice(0, stats.latest.length - LATEST_KEPT)
}

export function countGranted(stats: Stats, task: Task): void {
  const attempt = task.attempts[currentAttempt(task) - 1]!
  if (attempt.number === 1) {
    const bucket = waitBucket(attempt.grantedAt - task.spec.createdAt)
    minuteOf(stats, attempt.grantedAt).waits[bucket]!++
    countLatency(latencyOf(stats, task).waits, bucket)
  }
}

export function countEnded(stats: Stats, task: Task): void {
  const { state } = task
  if (state.is === 'queued' || state.is === 'leased' || state.is === 'running' || state.is === 'sealing') return
  stats.ended[state.is]++
  const minute = minuteOf(stats, state.at)
  if (state.is === 'succeeded') {
    minute.succeeded++
    const ran = state.at - ranFrom(task, state.attempt, state.at)
    countLatency(latencyOf(stats, task).runs, waitBucket(ran))
  } else if (state.is !== 'cancelled') minute.failed++
}

export function countPaid(stats: Stats, price: bigint, at: number): void {
  minuteOf(stats, at).volume += price
}

function latencyOf(stats: Stats, { spec }: Task): Latency {
  const latency = stats.latency.get(classOf(spec)) ?? { waits: noWaits(), runs: noWaits() }
  stats.latency.set(classOf(spec), latency)
  return latency
}

function countLatency(counts: number[], bucket: number): void {
  counts[bucket]!++
  if (counts.reduce((sum, count) => sum + count, 0) < LATENCY_COUNTED) return
  for (const [i, count] of counts.entries()) counts[i] = Math.floor(count / 2)
}

/** Upper bounds of the waits and runs of the class's late tasks, null while none was counted. */
export function latencyView(stats: Stats, of: { kind: Kind; model: string }): ModelLatency {
  const { waits = [], runs = [] } = stats.latency.get(classOf(of)) ?? {}
  return {
    waitP50Ms: waitQuantile(waits, 0.5),
    waitP95Ms: waitQuantile(waits, 0.95),
    runP50Ms: waitQuantile(runs, 0.5),
    runP95Ms: waitQuantile(runs, 0.95),
  }
}

/** The last hour without gaps, oldest first. */
export function minutesUntil(stats: Stats, now: number): Minute[] {
  const last = Math.floor(now / MINUTE_MS) * MINUTE_MS
  const counted = new Map(stats.minutes.map((minute) => [minute.at, minute]))
  return Array.from({ length: MINUTES_KEPT }, (_, i) => {
    const at = last - (MINUTES_KEPT - 1 - i) * MINUTE_MS
    return minuteView(counted.get(at) ?? newMinute(at))
  })
}

function minuteView({ at, submitted, succeeded, failed, waits, volume }: MinuteCount): Minute {
  return {
    at,
    submitted,
    succeeded,
    failed,
    waitP50Ms: waitQuantile(waits, 0.5),
    waitP95Ms: waitQuantile(waits, 0.95),
    volume: formatAmount(volume),
  }
}

/** The share of waits that were at most `ms`, null when none was counted, and of how many it is. */
export function shareWithin(minutes: MinuteCount[], ms: number): { value: number | null; of: number } {
  const limit = waitBucket(ms)
  let within = 0
  let all = 0
  for (const { waits } of minutes) {
    waits.forEach((count, bucket) => {
      all += count
      if (bucket <= limit) within += count
    })
  }
  return { value: all === 0 ? null : within / all, of: all }
}

/** What the public may see of a task. */
export function summaryOf(task: Task): TaskSummary {
  const { spec, state } = task
  const summary: TaskSummary = {
    id: spec.id,
    kind: spec.kind,
    model: spec.model,
    status: statusOf(task),
    createdAt: spec.createdAt,
  }
  const firstAttempt = task.attempts[0]
  if (firstAttempt) summary.waitMs = firstAttempt.grantedAt - spec.createdAt
  const shown = attemptShown(task)
  if (shown) summary.provider = shown.provider
  if (state.is === 'succeeded') {
    summary.price = formatAmount(state.price)
    if (shown) summary.runMs = state.at - shown.grantedAt
  }
  return summary
}

/** The attempt that speaks for a task: the one that succeeded, else the latest. */
export function attemptShown({ state, attempts }: Task): Attempt | undefined {
  return state.is === 'succeeded' ? attempts[state.attempt - 1] : attempts.at(-1)
}

/** Shows the task as it stands now, if it is among the latest. */
export function refreshLatest(stats: Stats, task: Task): void {
  const index = stats.latest.findLastIndex(({ id }) => id === task.spec.id)
  if (index >= 0) stats.latest[index] = summaryOf(task)
}

function newMinute(at: number): MinuteCount {
  return { at, submitted: 0, succeeded: 0, failed: 0, waits: noWaits(), volume: 0n }
}

/** The count of the minute of `now`; a time before the latest minute is counted in the latest. */
function minuteOf(stats: Stats, now: number): MinuteCount {
  const at = Math.floor(now / MINUTE_MS) * MINUTE_MS
  const last = stats.minutes.at(-1)
  if (last && last.at >= at) return last
  const minute = newMinute(at)
  stats.minutes.push(minute)
  if (stats.minutes.length > MINUTES_KEPT) stats.minutes.shift()
  return minute
}

const noWaits = (): number[] => new Array(WAIT_BUCKETS).fill(0)

function waitBucket(ms: number): number {
  return Math.min(WAIT_BUCKETS - 1, Math.max(0, Math.ceil(2 * Math.log2(Math.max(1, ms)))))
}

function waitQuantile(waits: number[], q: number): number | null {
  const all = waits.reduce((sum, count) => sum + count, 0)
  if (all === 0) return null
  let seen = 0
  for (const [bucket, count] of waits.entries()) {
    seen += count
    if (seen >= q * all) return Math.round(2 ** (bucket / 2))
  }
  return null
}
