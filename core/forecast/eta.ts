/**
 * When a task of a class will start and finish, as quantiles, learned from those that did. The experts are the delay estimators
 * of queueing practice (Ibrahim, Whitt, "Real-time delay estimation based on delay history", M&SOM 11, 2009): the length of the
 * queue times the pace at which it moves, the wait of the last task that started, the wait so far of the one that waits longest,
 * and averages.
 */
import type { Forecast } from './bands.ts'
import { ask, createPanel, type Panel, type Question, tell } from './panel.ts'

/** What can be seen of a task's queue when it is submitted, or before. */
export type Sight = {
  /** Whether somebody could take it at once. */
  idle: boolean
  /** Tasks of its class that are queued before it. */
  ahead: number
  /** How long the first of them has waited, ms; 0 when there is none. */
  oldestMs: number
  /** Something that its run time may grow with, in any unit, such as the most units it may take. */
  size: number
}

export type Eta = {
  waits: Panel
  finishes: Panel
  /** How long a task runs once it has started. */
  runs: Panel
  /** The wait of the task that started last, ms. */
  latestWait: number
  wait: Average
  /** Wait for each task that was ahead, ms. */
  pace: Average
  run: Average
  /** Run time for each unit of size, ms. */
  speed: Average
}

/** A moving average that follows and one that lasts; null before the first value. */
type Average = { fast: number; slow: number } | null

/** What was forecast for a task. To be kept with it, as `started` and `finished` learn from it. */
export type Estimate = {
  wait: Forecast
  finish: Forecast
  run: Forecast
  sight: Sight
  asked: { wait: Question; finish: Question; run: Question }
}

/** Shares of the past that still count after a task: it halves in about six tasks, in about seventy. */
const FAST = 0.9
const SLOW = 0.99
const KEEP = { blend: 0.999, error: SLOW }

const WAIT_EXPERTS = 6
const FINISH_EXPERTS = 4
/** Where they stand in what is kept of an estimate. */
const EXPERTS_FROM = 20
/** Somebody idle; then less than 4, 16, 64, 256 ahead, and more. */
const CONDITIONS = 6
/** What a wait and a run are taken for before there was any, ms: the bands say how little that means. */
const UNKNOWN_WAIT_MS = 1_000
const UNKNOWN_RUN_MS = 10_000

export const createEta = (): Eta => ({
  waits: createPanel(Array.from({ length: CONDITIONS }, () => new Array(WAIT_EXPERTS).fill(1))),
  finishes: createPanel(Array.from({ length: CONDITIONS }, () => new Array(FINISH_EXPERTS).fill(1))),
  runs: createPanel([new Array(FINISH_EXPERTS).fill(1)]),
  latestWait: UNKNOWN_WAIT_MS,
  wait: null,
  pace: null,
  run: null,
  speed: null,
})

/** Quantiles of the time until a task starts, of that until it is finished, and of how long it runs, ms. */
export function estimate(eta: Eta, sight: Sight): Estimate {
  const { ahead, idle, oldestMs, size } = sight
  const place = ahead + 1
  const average = eta.wait ?? same(UNKNOWN_WAIT_MS)
  const pace = eta.pace ?? same(UNKNOWN_WAIT_MS)
  const experts = [place * pace.fast, place * pace.slow, eta.latestWait, oldestMs, average.fast, average.slow]
  const condition = idle ? 0 : 1 + Math.min(CONDITIONS - 2, Math.floor(Math.log(place) / Math.log(4)))
  const waitAsked = { condition, experts, scale: Math.max(1, idle ? average.slow : place * pace.slow) }
  const wait = ask(eta.waits, waitAsked)
  const run = eta.run ?? same(UNKNOWN_RUN_MS)
  const speed = eta.speed ?? same(run.slow / Math.max(1, size))
  const runs = [run.fast, run.slow, size * speed.fast, size * speed.slow]
  const finishAsked = { condition, experts: runs.map((ms) => wait.p50 + ms), scale: Math.max(1, wait.p50 + run.slow) }
  const finish = ask(eta.finishes, finishAsked)
  const runAsked = { condition: 0, experts: runs, scale: Math.max(1, run.slow) }
  return {
    wait,
    finish,
    run: ask(eta.runs, runAsked),
    sight,
    asked: { wait: waitAsked, finish: finishAsked, run: runAsked },
  }
}

/** A task with this estimate started, `ms` after it was submitted. */
export function started(eta: Eta, { wait, sight, asked }: Estimate, ms: number): void {
  tell(eta.waits, asked.wait, wait, ms, KEEP)
  eta.latestWait = ms
  eta.wait = follow(eta.wait, ms)
  eta.pace = follow(eta.pace, ms / (sight.ahead + 1))
}

/** A task with this estimate finished, `ms` after it was submitted, having run for the last `runMs` of them. */
export function finished(eta: Eta, { finish, run, sight, asked }: Estimate, ms: number, runMs: number): void {
  tell(eta.finishes, asked.finish, finish, ms, KEEP)
  tell(eta.runs, asked.run, run, runMs, KEEP)
  eta.run = follow(eta.run, runMs)
  eta.speed = follow(eta.speed, runMs / Math.max(1, sight.size))
}

/** What is kept of an estimate, in few bytes: what was said, what was seen, and what the experts said. */
export function keptOf({ wait, finish, run, sight, asked }: Estimate): Float32Array {
  const said = [wait, finish, run].flatMap(({ p10, p50, p90, basis }) => [p10, p50, p90, basis === 'early' ? 1 : 0])
  const scales = [asked.wait.scale, asked.finish.scale, asked.run.scale]
  const seen = [sight.idle ? 1 : 0, sight.ahead, sight.oldestMs, sight.size, asked.wait.condition]
  return Float32Array.of(
    ...said,
    ...seen,
    ...scales,
    ...asked.wait.experts,
    ...asked.finish.experts,
    ...asked.run.experts,
  )
}

/** The estimate of which that was kept. */
export function kept(numbers: Float32Array): Estimate {
  const said = (from: number): Forecast => {
    const [p10, p50, p90, early] = numbers.subarray(from, from + 4)
    return { p10: p10!, p50: p50!, p90: p90!, basis: early === 1 ? 'early' : 'learned' }
  }
  const [idle, ahead, oldestMs, size, condition, waitScale, finishScale, runScale] = numbers.subarray(12, EXPERTS_FROM)
  const [waitTo, finishTo] = [EXPERTS_FROM + WAIT_EXPERTS, EXPERTS_FROM + WAIT_EXPERTS + FINISH_EXPERTS]
  const asked = (condition: number, scale: number, from: number, to?: number): Question => ({
    condition,
    experts: [...numbers.subarray(from, to)],
    scale,
  })
  return {
    wait: said(0),
    finish: said(4),
    run: said(8),
    sight: { idle: idle === 1, ahead: ahead!, oldestMs: oldestMs!, size: size! },
    asked: {
      wait: asked(condition!, waitScale!, EXPERTS_FROM, waitTo),
      finish: asked(condition!, finishScale!, waitTo, finishTo),
      run: asked(0, runScale!, finishTo),
    },
  }
}

const same = (value: number) => ({ fast: value, slow: value })

function follow(average: Average, value: number): Average {
  if (average === null) return same(value)
  return { fast: FAST * average.fast + (1 - FAST) * value, slow: SLOW * average.slow + (1 - SLOW) * value }
}
