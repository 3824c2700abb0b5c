/** How forecasts are scored. All take forecasts and outcomes in the same order; an empty list has no score, NaN. */
import type { Forecast } from './bands.ts'

/** Weighted absolute percentage error: the sum of absolute errors over the sum of what came (Kolassa, Schuetz, 2007). */
export function wape(medians: readonly number[], actuals: readonly number[]): number {
  return sum(actuals.map((actual, i) => Math.abs(actual - medians[i]!))) / sum(actuals.map(Math.abs))
}

/** Mean pinball loss at a quantile level (Koenker, Bassett, "Regression quantiles", Econometrica 46, 1978). */
export function pinball(level: number, quantiles: readonly number[], actuals: readonly number[]): number {
  const losses = actuals.map((actual, i) => {
    const above = actual - quantiles[i]!
    return above >= 0 ? level * above : (level - 1) * above
  })
  return sum(losses) / actuals.length
}

/** The shares of outcomes at most p90, and from p10 to p90, ends included. */
export function coverage(forecasts: readonly Forecast[], actuals: readonly number[]): { p90: number; p10p90: number } {
  const share = (within: (forecast: Forecast, actual: number) => boolean) =>
    actuals.filter((actual, i) => within(forecasts[i]!, actual)).length / actuals.length
  return {
    p90: share(({ p90 }, actual) => actual <= p90),
    p10p90: share(({ p10, p90 }, actual) => actual >= p10 && actual <= p90),
  }
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
