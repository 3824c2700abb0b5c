/** text.embed by a server that speaks the OpenAI protocol: ollama, vLLM, llama-server and others. */
import { maxUnits } from '#core/pricing.ts'
import type { InputOf } from '#core/protocol/work.ts'
import { measure } from '../measure.ts'
import { type Runner, RunnerError } from '../runner.ts'
import { ask, type Upstream } from './openai-upstream.ts'

export const kind = 'text.embed'
type Input = InputOf<typeof kind>

const PROBE: Input = {
  texts: Array.from({ length: 8 }, (_, i) => `Sentence ${i + 1} of a short text about the price of compute.`),
}

export function createEmbedRunner(upstream: Upstream): Runner {
  const { model, concurrency, known } = upstream
  const run: Runner['run'] = async (input, { signal }) => {
    const { texts, dimensions } = input as Input
    const asked = { model, input: texts, ...(dimensions !== undefined && { dimensions }) }
    const response = await ask(upstream, 'embeddings', asked, signal)
    const embeddings = vectorsIn(await response.json(), texts.length)
    if (dimensions !== undefined && embeddings.some((vector) => vector.length !== dimensions))
      throw new RunnerError('upstream_failed', `the model server does not give ${dimensions} dimensions`)
    return { output: { embeddings }, usage: { inputTokens: maxUnits(kind, input), outputTokens: 0 } }
  }

  return {
    kind,
    model,
    concurrency,
    load: async () => {},
    run,
    async probe(signal) {
      await measure(run, kind, PROBE, signal) // the server may load the model first
      const { speed, output } = await measure(run, kind, PROBE, signal)
      const half = Math.floor((output.embeddings as number[][])[0]!.length / 2)
      // Models trained for it can be cut short; others refuse, or give all the same.
      const isCut = await measure(run, kind, { texts: ['half'], dimensions: half }, signal).then(
        () => true,
        () => false,
      )
      signal.throwIfAborted()
      return { speed, ...known, capabilities: isCut ? ['dimensions'] : [] }
    },
    async check(signal) {
      await measure(run, kind, { texts: ['still there'] }, signal)
    },
    close: async () => {},
  }
}

/** A vector of finite numbers for each text, in their order, all of the same length. */
function vectorsIn(answer: unknown, count: number): number[][] {
  const data = (answer as { data?: { index?: number; embedding?: unknown }[] } | undefined)?.data
  const rows = Array.isArray(data) ? data.toSorted((a, b) => (a.index ?? 0) - (b.index ?? 0)) : []
  const vectors = rows.map(({ embedding }) => embedding as number[])
  const isWhole = (vector: unknown): boolean =>
    Array.isArray(vector) && vector.length > 0 && vector.length === vectors[0]!.length && vector.every(Number.isFinite)
  if (vectors.length !== count || !vectors.every(isWhole))
    throw new RunnerError('upstream_failed', 'the model server gave no vector for a text')
  return vectors
}
