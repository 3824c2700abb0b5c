/**
 * The chance that a provider fails a task that it holds, or leaves before it is done: its failures by a Beta posterior with a uniform
 * prior, its leaving by a Poisson process whose rate has a Gamma posterior (the predictive chance of none in a time is Lomax's).
 *
 * | figure | formula                                                                     |
 * |--------|-----------------------------------------------------------------------------|
 * | fails  | Beta(1 + failures, 1 + successes)                                           |
 * | leaves | 1 - (h / (h + t))^(1 + left), h = hours held + PRIOR_HOURS, t the task's    |
 * | either | 1 - (1 - fails)(1 - leaves)                                                 |
 */

/** Weighted outcomes of its tasks, how often it left while it held one, and how many hours it has held any. */
export type Conduct = { successes: number; failures: number; left: number; hours: number }

export type Risk = { p10: number; p50: number; p90: number }

/** Nobody is known at first: as if one had left once in a day of work. */
const PRIOR_HOURS = 24

/** @param hours how long the task will take, such as the p50 of its run time */
export function riskOf({ successes, failures, left, hours }: Conduct, takes: number): Risk {
  const known = hours + PRIOR_HOURS
  const stays = (known / (known + Math.max(0, takes))) ** (1 + left)
  const either = (fails: number) => 1 - (1 - fails) * stays
  const quantile = (level: number) => either(betaQuantile(1 + failures, 1 + successes, level))
  return { p10: quantile(0.1), p50: quantile(0.5), p90: quantile(0.9) }
}

/** Halvings of 0..1: as exact as a chance has to be. */
const HALVINGS = 30
/** Terms of the continued fraction; it converges in the order of sqrt(max(a, b)). */
const TERMS = 500
const EXACT = 1e-12

/** A quantile of Beta(a, b), by halving. */
export function betaQuantile(a: number, b: number, level: number): number {
  let [low, high] = [0, 1]
  for (let n = 0; n < HALVINGS; n++) {
    const middle = (low + high) / 2
    if (betaShare(a, b, middle) < level) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** The share of Beta(a, b) below x: the regularised incomplete beta function, by Lentz's continued fraction (DLMF 8.17.22). */
function betaShare(a: number, b: number, x: number): number {
  if (x > (a + 1) / (a + b + 2)) return 1 - betaShare(b, a, 1 - x)
  const front = Math.exp(a * Math.log(x) + b * Math.log(1 - x) - logBeta(a, b)) / a
  let [f, c, d] = [1, 1, 0]
  for (let i = 0; i <= TERMS; i++) {
    const m = i >> 1
    const term =
      i === 0
        ? 1
        : i % 2 === 0
          ? (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
          : (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))
    d = 1 / nonzero(1 + term * d)
    c = nonzero(1 + term / c)
    f *= c * d
    if (Math.abs(1 - c * d) < EXACT) break
  }
  return front * (f - 1)
}

const nonzero = (value: number): number => (Math.abs(value) < 1e-300 ? 1e-300 : value)

const logBeta = (a: number, b: number): number => logGamma(a) + logGamma(b) - logGamma(a + b)

/** Stirling's series (DLMF 5.11.1), after the recurrence has taken it to where that is exact. */
function logGamma(x: number): number {
  let shift = 0
  for (; x < 10; x++) shift -= Math.log(x)
  const square = 1 / (x * x)
  const series = (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680))) / x
  return shift + (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series
}
