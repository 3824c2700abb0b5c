/** A sudden fall of something that should stay up: a class's supply, its share of tasks that succeed. */
import { type Bands, band, createBands, type Forecast, learnBands } from './bands.ts'

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

/** Something that should stay up, what is usual of it, and the incident that is open. */
export type Guarded = { level: number | null; bands: Bands; incident: Incident | null }

/** The share of the past that still counts: half after 36 values, six hours. */
const KEEP = 2 ** (-1 / 36)

export const createGuarded = (): Guarded => ({ level: null, bands: createBands(1), incident: null })

/** The next value came, or is not known (null). What is usual is learned from times without an incident alone. */
export function guard(guarded: Guarded, value: number | null, at: number): void {
  if (value === null) return
  const { level, bands, incident } = guarded
  const said = level === null ? null : band(bands, 0, level, level)
  guarded.incident = watch(incident, said, value, at)
  if (guarded.incident) return
  if (incident && value < incident.floor) {
    // It lasted too long to be a fall: this is what is usual now.
    Object.assign(guarded, { level: value, bands: createBands(1) })
    return
  }
  if (said) learnBands(bands, 0, said, value, KEEP)
  guarded.level = level === null ? value : level + (1 - KEEP) * (value - level)
}
