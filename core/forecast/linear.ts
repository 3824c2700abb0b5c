/**
 * A linear model learned online: ridge regression with discounted memory, made robust by Huber's weights (Huber, "Robust
 * estimation of a location parameter", 1964) so that one outage does not bend it. It keeps the normal equations and solves them
 * when asked: a dozen features take a few microseconds, and nothing drifts as in recursive least squares.
 */
export type Linear = {
  /** The lower triangle of the weighted sum of x x', row by row. */
  gram: Float32Array
  /** The weighted sum of x y. */
  moment: Float32Array
  /** Running mean of the absolute error, and how many it has seen. */
  error: number
  seen: number
}

type Numbers = readonly number[] | Float32Array

/** Evidence against which the model must be convinced, as if so many observations had said that nothing changes. */
const RIDGE = 5
/** Errors above this share of the usual one weigh in proportion to their size, not to its square. */
const HUBER = 0.5
/** After so many errors no single one counts for more than so many usual ones. */
const SURE = 10

export const createLinear = (features: number): Linear => ({
  gram: new Float32Array((features * (features + 1)) / 2),
  moment: new Float32Array(features),
  error: 0,
  seen: 0,
})

export function predictLinear(model: Linear, features: Numbers): number {
  return solve(model).reduce((sum, weight, i) => sum + weight * features[i]!, 0)
}

/**
 * Learns from one outcome.
 * @param predicted what the model said then
 * @param keep the share of the past that still counts, 0..1
 */
export function learnLinear(model: Linear, features: Numbers, predicted: number, actual: number, keep: number): void {
  const error = Math.abs(actual - predicted)
  model.seen++
  // One error says little of what is usual, however large it is.
  const counted = model.seen > SURE ? Math.min(error, SURE * model.error) : error
  model.error += Math.max(1 - keep, 1 / model.seen) * (counted - model.error)
  const weight = error > 0 ? Math.min(1, (HUBER * model.error) / error) : 1
  for (let i = 0, at = 0; i < features.length; i++) {
    for (let j = 0; j <= i; j++, at++) {
      model.gram[at] = model.gram[at]! * keep + weight * features[i]! * features[j]!
    }
    model.moment[i] = model.moment[i]! * keep + weight * features[i]! * actual
  }
}

/** Solves (gram + ridge) w = moment by Cholesky's factors, which exist because the ridge makes the matrix positive definite. */
function solve({ gram, moment }: Linear): Float64Array {
  const n = moment.length
  const lower = new Float64Array(gram)
  for (let i = 0, row = 0; i < n; row += ++i) {
    for (let j = 0, other = 0; j <= i; other += ++j) {
      let value = lower[row + j]! + (i === j ? RIDGE : 0)
      for (let k = 0; k < j; k++) value -= lower[row + k]! * lower[other + k]!
      lower[row + j] = i === j ? Math.sqrt(value) : value / lower[other + j]!
    }
  }
  const weights = new Float64Array(moment)
  for (let i = 0, row = 0; i < n; row += ++i) {
    let value = weights[i]!
    for (let k = 0; k < i; k++) value -= lower[row + k]! * weights[k]!
    weights[i] = value / lower[row + i]!
  }
  for (let i = n - 1; i >= 0; i--) {
    let value = weights[i]!
    for (let k = i + 1; k < n; k++) value -= lower[(k * (k + 1)) / 2 + i]! * weights[k]!
    weights[i] = value / lower[(i * (i + 1)) / 2 + i]!
  }
  return weights
}
