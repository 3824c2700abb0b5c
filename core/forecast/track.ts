/** What was forecast of the next hour whenever one began, beside what came of it: for people to look at, nothing learns from it. */
import type { Forecast } from './bands.ts'
import { HOUR_BINS } from './history.ts'

/** A clock hour: its first bin, what was forecast of its mean, the sum of its bins that are known, and how many are. */
type TrackedHour = { bin: number; said: Forecast; sum: number; known: number }

/** Hours, oldest first, each in so many numbers. */
export type Track = Float32Array
const NUMBERS = 7
const [BIN, SUM, KNOWN] = [0, 1, 2]

/** Hours that are kept. */
const KEPT = 25

export const createTrack = (): Track => new Float32Array(0)

/**
 * Learns what came in a bin, the latest.
 * @param value not a number when it is not known
 * @param said the forecast of the six bins that follow
 */
export function followHour(track: Track, bin: number, value: number, said: () => Forecast | null): Track {
  const hour = track.subarray(-NUMBERS)
  if (hour.length > 0 && bin < hour[BIN]! + HOUR_BINS && Number.isFinite(value)) {
    hour[SUM]! += value
    hour[KNOWN]!++
  }
  const next = (bin + 1) % HOUR_BINS === 0 ? said() : null
  if (next === null) return track
  const { p10, p50, p90, basis } = next
  return Float32Array.of(
    ...track.subarray((1 - KEPT) * NUMBERS),
    bin + 1,
    0,
    0,
    p10,
    p50,
    p90,
    basis === 'early' ? 1 : 0,
  )
}

/** Oldest first. */
export const hoursOf = (track: Track): TrackedHour[] =>
  Array.from({ length: track.length / NUMBERS }, (_, n) => {
    const [bin, sum, known, p10, p50, p90, early] = track.subarray(n * NUMBERS) as Iterable<number> as number[]
    return {
      bin: bin!,
      sum: sum!,
      known: known!,
      said: { p10: p10!, p50: p50!, p90: p90!, basis: early ? 'early' : 'learned' },
    }
  })

/** The mean of the hour's bins; null until all are known, and for good when one never was. */
export const cameOf = ({ sum, known }: TrackedHour): number | null => (known === HOUR_BINS ? sum / known : null)
