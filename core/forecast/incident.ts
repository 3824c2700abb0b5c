/** A sudden fall of something that should stay up: a class's supply, its share of tasks that succeed. */
import type { Forecast } from './bands.ts'

/** `floor` is the least that was to be expected when it began; it is over when that is reached again. */
export type Incident = { since: number; expected: number; floor: number }

/**
 * How far below the median a value lies that is no accident, in distances from the median to p10. Were the errors normal, one bin
 * in ten thousand would be taken for a fall by mistake.
 */
const FENCE = 3
/** A fall by less is not worth anybody's attention. */
const LEAST_FALL = 0.2
/** What has lasted so long is no longer sudden. */
const LONGEST_MS = 86_400_000

/**
 * Opens, keeps or closes an incident by one value.
 * @param said what was forecast for this value before it came
 * @returns the incident as it stands, null when all is well or nothing can be told yet
 */
export function watch(open: Incident | null, said: Forecast | null, actual: number, at: number): Incident | null {
  if (open) return actual < open.floor && at - open.since < LONGEST_MS ? open : null
  if (said?.basis !== 'learned') return null
  const { p10, p50 } = said
  const fell = actual < p50 * (1 - LEAST_FALL) && actual < p50 - FENCE * (p50 - p10)
  return fell ? { since: at, expected: p50, floor: p10 } : null
}
