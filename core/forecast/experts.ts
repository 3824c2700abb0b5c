/**
 * What each expert says of the mean of a window to come, and the features of the linear one. Everything is relative to the held
 * level, so an expert that knows nothing yet says "as now".
 */
import { DAY_BINS, dayBefore, type History, held, weekBefore } from './history.ts'

/** The bins `from..to` after the latest, both included; the forecast is of the mean of their values. */
export type Window = { from: number; to: number }

/**
 * How much each expert counts at first, by condition: steady; fallen for less than the window reaches ahead; fallen for longer.
 * Where the series is fallen only the first six speak, and the last value (it stays down) counts as much as the others
 * together (it comes back).
 */
const STEADY = new Array(11).fill(1)
const FALLEN = [5, 1, 1, 1, 1, 1]
export const PRIORS = [STEADY, FALLEN, FALLEN]
/** Of a series without seasons the same six speak. */
export const PLAIN = [new Array(6).fill(1)]

/** A series below this is as good as zero. */
const LEAST = 1e-9

export const FEATURES = 16

export type View = {
  condition: number
  last: number
  level: number
  /** The size of the series. */
  scale: number
  /** What the linear expert looks at; what the others say is among it, see `expertsOf`. */
  features: Float32Array
}

export function viewOf(history: History, { from, to }: Window): View {
  const { bins, averages, fallen, last } = history
  const level = held(history)
  const size = Math.max(level, averages.at(-1)!)
  const scale = size > LEAST ? size : 1
  const change = (value: number | null | undefined) => ((value ?? level) - level) / scale
  const day = dayBefore(history, from, to)
  const week = weekBefore(history, from, to)
  // As now, and then what changed in the same time a day or a week before.
  const since = (then: number | null, now: number | null) =>
    then === null || now === null ? 0 : Math.max(-level, then - now) / scale
  const phase = (2 * Math.PI * (history.bin + (from + to) / 2)) / DAY_BINS
  return {
    condition: fallen === 0 ? 0 : fallen <= to ? 1 : 2,
    last,
    level,
    scale,
    features: Float32Array.of(
      ...averages.map(change),
      change(day),
      since(day, dayBefore(history, 0, 0)),
      change(week),
      since(week, weekBefore(history, 0, 0)),
      change(bins.at(-2)),
      change(bins.at(-3)),
      level / scale,
      1,
      Math.cos(phase),
      Math.sin(phase),
      Math.cos(2 * phase),
      Math.sin(2 * phase),
    ),
  }
}

/** What each expert says: the last value, the held level, the moving averages, a day and a week before, the linear one. */
export function expertsOf({ last, level, scale, features }: View, linear: number): number[] {
  const experts = [last, level]
  for (const change of features.subarray(0, 8)) experts.push(level + scale * change)
  experts.push(linear)
  return experts
}
