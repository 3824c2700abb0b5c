/** How often outcomes lay below what was said: a forecast is calibrated when one in ten lies below p10, five below p50, nine below p90. */
import type { Forecast } from './bands.ts'

export type Tally = { count: number; p10: number; p50: number; p90: number }

const LEVELS = { p10: 0.1, p50: 0.5, p90: 0.9 } as const

export const createTally = (): Tally => ({ count: 0, p10: 0, p50: 0, p90: 0 })

/**
 * Counts one outcome, unless the forecast said itself that it was early. One that is the quantile itself counts as its level (as a
 * draw between below and above would on average): otherwise what is nearly always zero, as most waits are, could never be calibrated.
 */
export function countOutcome(tally: Tally, said: Forecast, actual: number): void {
  if (said.basis === 'early') return
  tally.count++
  for (const quantile of ['p10', 'p50', 'p90'] as const) {
    if (actual < said[quantile]) tally[quantile]++
    else if (actual === said[quantile]) tally[quantile] += LEVELS[quantile]
  }
}

export const sumOf = (tallies: readonly Tally[]): Tally =>
  tallies.reduce(
    (sum, one) => ({
      count: sum.count + one.count,
      p10: sum.p10 + one.p10,
      p50: sum.p50 + one.p50,
      p90: sum.p90 + one.p90,
    }),
    createTally(),
  )
