/**
 * What is kept of a series in bins of ten minutes: enough for the experts, in little more than a kilobyte. A fall to less than a tenth of the
 * least of the last hours is taken for an outage: the level before it is held, so that averages and tomorrow's forecasts do not
 * learn it; one that lasts for a day is taken for the new truth.
 */
export const BIN_MS = 600_000
export const DAY_BINS = 144
export const WEEK_BINS = 1_008
export const HOUR_BINS = 6
const HOURS_KEPT = WEEK_BINS / HOUR_BINS + 2
/** The longest window a forecast may look over, in bins: yesterday's must still be there. */
export const MAX_AHEAD = DAY_BINS

/** Bins that a fall is measured against. */
const FALL_BINS = 36
const FALL_RATIO = 0.1

/** Half-lives of the moving averages, bins: half an hour, two hours, eight hours, a day. */
const HALF_LIVES = [3, 12, 48, DAY_BINS]

export type History = {
  /** Number of the latest bin since the epoch. */
  bin: number
  /** The latest value that was seen. */
  last: number
  /** How long the series has been fallen, bins; 0 when it is not. */
  fallen: number
  /** Held values of the last day, oldest first. */
  bins: Float32Array
  /** Means of the held values of each clock hour of the last week, oldest first. */
  hours: Float32Array
  /** Moving averages of the held values, by HALF_LIVES. */
  averages: Float32Array
}

export const createHistory = (bin: number, value: number): History => ({
  bin,
  last: value,
  fallen: 0,
  bins: Float32Array.of(value),
  hours: Float32Array.of(value),
  averages: new Float32Array(HALF_LIVES.length).fill(value),
})

/**
 * The value of the next bin, or null when it is not known.
 * @param seasons whether the last day and week are kept
 */
export function push(history: History, value: number | null, seasons: boolean): void {
  const { averages } = history
  const before = held(history)
  if (value !== null) {
    history.fallen = isFall(history, value) ? history.fallen + 1 : 0
    history.last = value
  }
  const next = value === null || history.fallen > 0 ? before : value
  history.bin++
  history.bins = followedBy(history.bins, next, seasons ? DAY_BINS + 2 : 1)
  const place = history.bin % HOUR_BINS
  if (place === 0) history.hours = followedBy(history.hours, next, seasons ? HOURS_KEPT : 1)
  else {
    const { hours } = history
    hours[hours.length - 1]! += (next - hours.at(-1)!) / (place + 1)
  }
  HALF_LIVES.forEach((halfLife, i) => {
    averages[i]! += (1 - 2 ** (-1 / halfLife)) * (next - averages[i]!)
  })
}

/** The latest so many. */
function followedBy(values: Float32Array, next: number, most: number): Float32Array {
  const kept = values.subarray(Math.max(0, values.length + 1 - most))
  const all = new Float32Array(kept.length + 1)
  all.set(kept)
  all[kept.length] = next
  return all
}

function isFall({ bins, fallen }: History, value: number): boolean {
  if (bins.length < FALL_BINS || fallen >= DAY_BINS) return false
  return value < FALL_RATIO * Math.min(...bins.slice(-FALL_BINS))
}

/** The latest value, or the one before the fall. */
export const held = ({ bins }: History): number => bins.at(-1)!

/**
 * Mean of the bins `from..to` after the latest, a day earlier, and the bin on either side, which makes it less of a matter of
 * chance; null when that is not known. At most a day ahead.
 */
export function dayBefore({ bins }: History, from: number, to: number): number | null {
  const end = bins.length - 1 - DAY_BINS
  if (end + from - 1 < 0) return null
  const same = bins.slice(end + from - 1, end + to + 2)
  return same.reduce((sum, value) => sum + value, 0) / same.length
}

/** The same a week earlier, by the hours it falls into. */
export function weekBefore({ bin, hours }: History, from: number, to: number): number | null {
  const latest = Math.floor(bin / HOUR_BINS)
  const place = (ahead: number) => hours.length - 1 - (latest - Math.floor((bin + ahead - WEEK_BINS) / HOUR_BINS))
  if (place(from) < 0) return null
  const same = hours.slice(place(from), place(to) + 1)
  return same.reduce((sum, value) => sum + value, 0) / same.length
}
