/**
 * A provider's reputation: the posterior of the chance that it finishes what it takes, Beta(a, b) with a uniform prior,
 * where each outcome's weight halves every 30 days. Shown as mean and 90 % interval; ranked and filtered by the lower bound.
 */
import type { Interval } from './protocol.ts'

export type Reputation = {
  successes: number
  failures: number /** Unix milliseconds the weights are as of. */
  at: number
}

const HALF_LIFE_MS = 30 * 86_400_000
/** Standard normal quantile of 95 %: the interval between the two bounds holds 90 %. */
const Z = 1.6448536269514722

export const newcomer = (at: number): Reputation => ({ successes: 0, failures: 0, at })

/** Adds one outcome. Time never runs backwards: an earlier `at` counts as the latest one seen. */
export function observe(reputation: Reputation, outcome: 'success' | 'failure', at: number): Reputation {
  const now = Math.max(at, reputation.at)
  const kept = 2 ** (-(now - reputation.at) / HALF_LIFE_MS)
  return {
    successes: reputation.successes * kept + (outcome === 'success' ? 1 : 0),
    failures: reputation.failures * kept + (outcome === 'failure' ? 1 : 0),
    at: now,
  }
}

/** Mean and normal approximation of the 90 % credible interval, clamped to 0..1. */
export function interval({ successes, failures }: Reputation): Interval {
  const a = successes + 1
  const b = failures + 1
  const mean = a / (a + b)
  const half = Z * Math.sqrt((a * b) / ((a + b) ** 2 * (a + b + 1)))
  return { low: Math.max(0, mean - half), mean, high: Math.min(1, mean + half) }
}

/** The lower bound in steps of a hundredth, so that matching's indexes move only when it matters. */
export function score(reputation: Reputation): number {
  return Math.floor(interval(reputation).low * 100) / 100
}
