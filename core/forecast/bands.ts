/**
 * Bands that keep their promise: the width is the usual error of late times two factors, and each factor moves up when the outcome
 * was outside its side of the band and down when it was inside, so that in the long run the side holds its share whatever the
 * series does (quantile tracking: Angelopoulos, Candes, Tibshirani, "Conformal PID control for time series prediction", 2023).
 */
export type Forecast = {
  p10: number
  p50: number
  p90: number
  /** `early`: little has been seen, and the band is wide for that reason. */
  basis: 'early' | 'learned'
}

export type Bands = {
  /** For each condition its two factors, in usual errors. */
  low: Float32Array
  high: Float32Array
  /** The usual absolute error of late in each condition, and how many outcomes it has seen. */
  error: Float32Array
  seen: Float32Array
}

/**
 * How far a factor moves when an outcome is outside, in usual errors: more for a factor that is large, as where errors have long
 * tails it has further to go.
 */
const STEP = 0.05
/** Outcomes that the first guess of the usual error counts as. */
const GUESS = 3
/** Outcomes that it takes until a band is more learned than guessed. */
const EARLY = 40

/** @param conditions how many kinds of moments have an error of their own */
export const createBands = (conditions: number): Bands => ({
  low: new Float32Array(conditions).fill(-2),
  high: new Float32Array(conditions).fill(2),
  error: new Float32Array(conditions),
  seen: new Float32Array(conditions),
})

/**
 * The band around a median of a quantity that is never negative.
 * @param guess the error to reckon with as long as nothing is known
 */
export function band(bands: Bands, condition: number, median: number, guess: number): Forecast {
  const seen = bands.seen[condition]!
  const error = (seen * bands.error[condition]! + GUESS * guess) / (seen + GUESS)
  return {
    p10: Math.max(0, median + bands.low[condition]! * error),
    p50: median,
    p90: median + bands.high[condition]! * error,
    basis: seen < EARLY ? 'early' : 'learned',
  }
}

/**
 * Learns from one outcome.
 * @param keep the share of the past errors that still counts, 0..1
 */
export function learnBands(bands: Bands, condition: number, said: Forecast, actual: number, keep: number): void {
  const low = bands.low[condition]!
  const high = bands.high[condition]!
  bands.low[condition] = Math.min(0, low + STEP * (1 - low) * (0.1 - (actual < said.p10 ? 1 : 0)))
  bands.high[condition] = Math.max(0, high + STEP * (1 + high) * (0.9 - (actual <= said.p90 ? 1 : 0)))
  bands.seen[condition]!++
  const step = Math.max(1 - keep, 1 / bands.seen[condition]!)
  bands.error[condition]! += step * (Math.abs(actual - said.p50) - bands.error[condition]!)
}
