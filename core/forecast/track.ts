/** What was forecast of the next hour whenever one began, beside what came of it: for people to look at, nothing learns from it. */
import type { Forecast } from './bands.ts'
import { HOUR_BINS } from './history.ts'

/** A clock hour: its first bin, what was forecast of its mean, the sum of its bins that are known, and how many are. */
export type TrackedHour = { bin: number; said: Forecast; sum: number; known: number }

/** Hours that are kept. */
const KEPT = 25

/**
 * Learns what came in a bin, the latest.
 * @param value not a number when it is not known
 * @param said the forecast of the six bins that follow
 */
export function followHour(track: TrackedHour[], bin: number, value: number, said: () => Forecast | null): void {
  const hour = track.at(-1)
  if (hour && bin < hour.bin + HOUR_BINS && Number.isFinite(value)) {
    hour.sum += value
    hour.known++
  }
  if ((bin + 1) % HOUR_BINS !== 0) return
  const next = said()
  if (next) track.push({ bin: bin + 1, said: next, sum: 0, known: 0 })
  if (track.length > KEPT) track.shift()
}

/** The mean of the hour's bins; null until all are known, and for good when one never was. */
export const cameOf = ({ sum, known }: TrackedHour): number | null => (known === HOUR_BINS ? sum / known : null)
