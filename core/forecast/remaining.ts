/** A time that is under way: what is left of it, and how long it lasts at each level. */
import type { Forecast } from './bands.ts'

/**
 * Quantiles of what is left, given that `elapsed` has passed and it is not over. A time that lasts longer than anybody thought
 * gets ever later an end, never one in the past.
 */
export function remaining(whole: Forecast, elapsed: number): Forecast {
  if (elapsed <= 0) return whole
  const passed = hazardAt(whole, elapsed)
  const left = (level: number) => Math.max(0, timeOf(whole, passed - Math.log(1 - level)) - elapsed)
  return { p10: left(0.1), p50: left(0.5), p90: left(0.9), basis: whole.basis }
}

/** The time within which so large a share is over, 0..1. */
export const quantileOf = (whole: Forecast, level: number): number => timeOf(whole, -Math.log(1 - level))

/*
 * Between the quantiles of the whole the chance to end is taken to be the same at every moment, and beyond p90 to stay what it was
 * before (piecewise exponential survival). A hazard is minus the logarithm of the share that is still under way.
 */

const knotsOf = ({ p10, p50, p90 }: Forecast) => [
  { at: 0, hazard: 0 },
  { at: p10, hazard: -Math.log(0.9) },
  { at: p50, hazard: -Math.log(0.5) },
  { at: p90, hazard: -Math.log(0.1) },
]

/** Time for each unit of hazard beyond p90. */
const paceOf = ({ p50, p90 }: Forecast): number => (p90 - p50) / (Math.log(0.5) - Math.log(0.1))

function hazardAt(whole: Forecast, at: number): number {
  const pace = paceOf(whole)
  if (at >= whole.p90) return -Math.log(0.1) + (pace > 0 ? (at - whole.p90) / pace : 0)
  const knots = knotsOf(whole)
  const above = knots.findIndex((knot) => knot.at > at)
  const [from, to] = [knots[above - 1]!, knots[above]!]
  return from.hazard + ((to.hazard - from.hazard) * (at - from.at)) / (to.at - from.at)
}

function timeOf(whole: Forecast, hazard: number): number {
  const knots = knotsOf(whole)
  const above = knots.findIndex((knot) => knot.hazard > hazard)
  if (above === -1) return whole.p90 + (hazard + Math.log(0.1)) * paceOf(whole)
  const [from, to] = [knots[above - 1]!, knots[above]!]
  return from.at + ((to.at - from.at) * (hazard - from.hazard)) / (to.hazard - from.hazard)
}
