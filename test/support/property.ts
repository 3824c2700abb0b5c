import fc from 'fast-check'

/** Asserts a property over seeded random examples; a failure prints the seed and path by which it can be run again. */
export function holds<Ts>(property: fc.IRawProperty<Ts>, numRuns = 200): void {
  fc.assert(property, { seed: Number(process.env.SEED ?? 20_260_101), numRuns })
}
