/**
 * Experts combined by what they have lost lately: Bernstein online aggregation (Wintenberger, "Optimal learning with Bernstein
 * online aggregation", Machine Learning 106, 2017) with a learning rate of its own for each expert, on the gradient of the
 * absolute loss, so that the mixture competes with the best fixed blend of the experts. Nothing in it has to be tuned.
 */
export type Mixture = {
  /** How much each expert counts before anything is known. */
  prior: number[]
  /** For each expert: its discounted regret, the discounted sum of its squared gains, the greatest of them. */
  regret: number[]
  square: number[]
  greatest: number[]
}

export const createMixture = (prior: number[]): Mixture => ({
  prior,
  regret: prior.map(() => 0),
  square: prior.map(() => 0),
  greatest: prior.map(() => 0),
})

/** The experts' blend. */
export function blend(mixture: Mixture, experts: readonly number[]): number {
  const { prior, regret } = mixture
  const exponents = prior.map((_, i) => rate(mixture, i) * regret[i]!)
  const greatest = Math.max(...exponents)
  let sum = 0
  let total = 0
  for (let i = 0; i < prior.length; i++) {
    const weight = prior[i]! * rate(mixture, i) * Math.exp(exponents[i]! - greatest)
    sum += weight * experts[i]!
    total += weight
  }
  return sum / total
}

/**
 * Learns from one outcome.
 * @param blended what `blend` said then
 * @param scale the size of the series, so that its unit does not matter
 * @param keep the share of the past that still counts, 0..1
 */
export function learnMixture(
  mixture: Mixture,
  experts: readonly number[],
  blended: number,
  actual: number,
  scale: number,
  keep: number,
): void {
  const slope = Math.sign(blended - actual) / scale
  for (let i = 0; i < mixture.prior.length; i++) {
    const gain = slope * (blended - experts[i]!)
    mixture.greatest[i] = Math.max(mixture.greatest[i]!, Math.abs(gain))
    mixture.square[i] = mixture.square[i]! * keep + gain * gain
    mixture.regret[i] = mixture.regret[i]! * keep + gain - rate(mixture, i) * gain * gain
  }
}

function rate({ prior, square, greatest }: Mixture, i: number): number {
  if (square[i] === 0) return 1
  return Math.min(1 / (2 * greatest[i]!), Math.sqrt(Math.log(prior.length) / square[i]!))
}
