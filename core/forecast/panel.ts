/** A panel of experts for one quantity: their blend is the median, the band around it keeps its promise, and both learn. */
import { type Bands, band, createBands, type Forecast, learnBands } from './bands.ts'
import { blend, createMixture, learnMixture, type Mixture } from './mixture.ts'
import { countOutcome, createTally, type Tally } from './tally.ts'

/** Moments that differ in kind (a queue that is empty or long) have each a blend and a usual error of their own. */
export type Panel = {
  mixtures: Mixture[]
  bands: Bands
  /** Of all that was said. */
  tally: Tally
}

/** What was said, and all that is needed to learn from what came of it. */
export type Question = {
  condition: number
  experts: number[]
  /** The size of the quantity about now, in its unit; more than 0. */
  scale: number
}

/** The share of the past that still counts, 0..1: for the blend, and for the usual error. */
export type Keep = { blend: number; error: number }

/** @param priors for each condition, how much each expert counts before anything is known */
export const createPanel = (priors: readonly number[][]): Panel => ({
  mixtures: priors.map(createMixture),
  bands: createBands(priors.length),
  tally: createTally(),
})

export function ask({ mixtures, bands }: Panel, { condition, experts, scale }: Question): Forecast {
  return band(bands, condition, blend(mixtures[condition]!, experts), scale)
}

export function tell(panel: Panel, question: Question, said: Forecast, actual: number, keep: Keep): void {
  const { condition, experts, scale } = question
  countOutcome(panel.tally, said, actual)
  learnMixture(panel.mixtures[condition]!, experts, said.p50, actual, scale, keep.blend)
  learnBands(panel.bands, condition, said, actual, keep.error)
}
