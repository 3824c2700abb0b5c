/**
 * Experts combined by what they have lost lately: Bernstein online aggregation (Wintenberger, "Optimal learning with Bernstein
 * online aggregation", Machine Learning 106, 2017) with a learning rate of its own for each expert, on the gradient of the
 * absolute loss, so that the mixture competes with the best fixed blend of the experts. Nothing in it has to be tuned.
 */
export type Mixture = Float32Array

/**
 * A mixture is so many numbers of each expert: how much it counts before anything is known, its discounted regret, the discounted sum of
 * its squared gains, and the greatest of them.
 */
const NUMBERS = 4
const [PRIOR, REGRET, SQUARE, GREATEST] = [0, 1, 2, 3]

export const createMixture = (prior: readonly number[]): Mixture =>
  Float32Array.from({ length: prior.length * NUMBERS }, (_, at) => (at % NUMBERS === PRIOR ? prior[at / NUMBERS]! : 0))

/** How many experts it has. */
export const sizeOf = (mixture: Mixture): number => mixture.length / NUMBERS

/** The experts' blend. */
export function blend(mixture: Mixture, experts: readonly number[]): number {
  const n = sizeOf(mixture)
  const exponents = new Array<number>(n)
  for (let i = 0; i < n; i++) exponents[i] = rate(mixture, i) * mixture[i * NUMBERS + REGRET]!
  const greatest = Math.max(...exponents)
  let sum = 0
  let total = 0
  for (let i = 0; i < n; i++) {
    const weight = mixture[i * NUMBERS + PRIOR]! * rate(mixture, i) * Math.exp(exponents[i]! - greatest)
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
  for (let i = 0, at = 0; at < mixture.length; i++, at += NUMBERS) {
    const gain = slope * (blended - experts[i]!)
    mixture[at + GREATEST] = Math.max(mixture[at + GREATEST]!, Math.abs(gain))
    mixture[at + SQUARE] = mixture[at + SQUARE]! * keep + gain * gain
    mixture[at + REGRET] = mixture[at + REGRET]! * keep + gain - rate(mixture, i) * gain * gain
  }
}

function rate(mixture: Mixture, i: number): number {
  const square = mixture[i * NUMBERS + SQUARE]!
  if (square === 0) return 1
  return Math.min(1 / (2 * mixture[i * NUMBERS + GREATEST]!), Math.sqrt(Math.log(sizeOf(mixture)) / square))
}
