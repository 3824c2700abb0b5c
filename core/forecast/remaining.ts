/** What is left of a time that is under way. */
import type { Forecast } from './bands.ts'

/**
 * Quantiles of what is left, given that `elapsed` has passed and it is not over. Between the quantiles of the whole the chance to
 * end is taken to be the same at every moment, and beyond p90 to stay what it was before (piecewise exponential survival), so a
 * time that lasts longer than anybody thought gets ever later an end, never one in the past.
 */
export function remaining(whole: Forecast, elapsed: number): Forecast {
  if (elapsed <= 0) return whole
  const { p10, p50, p90, basis } = whole
  // Minus the logarithm of the share that is still under way.
  const knots = [
    { at: 0, hazard: 0 },
    { at: p10, hazard: -Math.log(0.9) },
    { at: p50, hazard: -Math.log(0.5) },
    { at: p90, hazard: -Math.log(0.1) },
  ]
  const pace = (p90 - p50) / (Math.log(0.5) - Math.log(0.1))
  const hazardAt = (at: number): number => {
    if (at >= p90) return -Math.log(0.1) + (pace > 0 ? (at - p90) / pace : 0)
    const above = knots.findIndex((knot) => knot.at > at)
    const [from, to] = [knots[above - 1]!, knots[above]!]
    return from.hazard + ((to.hazard - from.hazard) * (at - from.at)) / (to.at - from.at)
  }
  const timeOf = (hazard: number): number => {
    const above = knots.findIndex((knot) => knot.hazard > hazard)
    if (above === -1) return p90 + (hazard + Math.log(0.1)) * pace
    const [from, to] = [knots[above - 1]!, knots[above]!]
    return from.at + ((to.at - from.at) * (hazard - from.hazard)) / (to.hazard - from.hazard)
  }
  const passed = hazardAt(elapsed)
  const left = (level: number) => Math.max(0, timeOf(passed - Math.log(1 - level)) - elapsed)
  return { p10: left(0.1), p50: left(0.5), p90: left(0.9), basis }
}
