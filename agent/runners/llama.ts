/**
 * llm.chat by llama.cpp with the small model that ships with the agent. It knows bytes, 128 of them at a time, and no
 * chat format: it goes on with the text of the messages. Real inference for a first run; real providers bring a server.
 */
import { randomInt } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import type { Token } from 'node-llama-cpp'
import { maxTokens } from '#core/pricing.ts'
import type { InputOf } from '#core/protocol/work.ts'
import { measure } from '../measure.ts'
import { continuation } from '../prompt.ts'
import { type Runner, RunnerError } from '../runner.ts'
import { weightsDigest } from '../weights.ts'

export const kind = 'llm.chat'
export const model = 'daicn-tiny'

const CONTEXT = 128
/** How far back llama.cpp's penalty for repetitions looks. */
const PENALTY_TOKENS = 64
/** Room that a prompt always has, however many tokens are asked for. */
const LEAST_PROMPT = 32
const MODEL_FILE = fileURLToPath(new URL('../models/daicn-tiny-f16.gguf', import.meta.url))
const PROBE = {
  messages: [{ role: 'user', content: 'What light is this?\n' }],
  max_tokens: 64,
  temperature: 0,
  seed: 1,
}

export async function createRunner(): Promise<Runner> {
  const { getLlama, LlamaCompletion } = await import('node-llama-cpp')
  const llama = await getLlama({ build: 'never', gpu: false, progressLogs: false, logger: () => {} })
  const weights = await llama.loadModel({ modelPath: MODEL_FILE, gpuLayers: 0 })
  // More threads only spin for a model of this size.
  const context = await weights.createContext({ contextSize: CONTEXT, threads: 1 })
  const sequence = context.getSequence()
  const completion = new LlamaCompletion({ contextSequence: sequence })
  const { bos } = weights.tokens
  const firstByte = byteTokens(weights.tokenize('\n', false), bos)

  const run: Runner['run'] = async (input, { signal, onDelta, maxUnits, prefix }) => {
    const { messages, temperature, top_p, seed, stop, ...more } = input as InputOf<typeof kind>
    const wanted = Math.min(maxTokens(more), Math.max(Math.floor(maxUnits), 1))
    const room = Math.max(CONTEXT - 1 - wanted, LEAST_PROMPT)
    const tokensOf = (bytes: Uint8Array) => Array.from(bytes, (byte) => (firstByte + byte) as Token)
    const prompt = [bos!, ...tokensOf(continuation(messages, room))]
    const before = tokensOf(Buffer.from(prefix?.text ?? ''))
    const most = Math.min(wanted, CONTEXT - prompt.length) - before.length
    if (most < 1)
      return { output: { content: '', finishReason: 'length' }, usage: { inputTokens: prompt.length, outputTokens: 0 } }
    const stops = typeof stop === 'string' ? [stop] : (stop ?? [])
    let content = ''
    let outputTokens = 0
    let told = 0
    await sequence.clearHistory()
    if (before.length > 0) {
      // As the first attempt did it, one token after another: evaluated together they come out a little different.
      await sequence.evaluateWithoutGeneratingNewTokens(prompt)
      for (const token of before.slice(0, -1)) await sequence.evaluateWithoutGeneratingNewTokens([token])
    }
    const { metadata } = await completion.generateCompletionWithMeta([...prompt, ...before], {
      signal,
      maxTokens: most,
      // It looks back at what was generated, of which the prefix is a part.
      repeatPenalty: { punishTokensFilter: (tokens) => [...before, ...tokens].slice(-PENALTY_TOKENS) },
      disableContextShift: true,
      temperature: temperature ?? 0.8,
      topP: Math.max(top_p ?? 1, 0.01),
      seed: seed === undefined ? randomInt(2 ** 31) : seed >>> 0,
      ...(stops.length > 0 ? { customStopTriggers: stops.filter((text) => text !== '') } : {}),
      onToken: (tokens) => {
        outputTokens += tokens.length
      },
      onTextChunk(text) {
        content += text
        onDelta(text, outputTokens - told)
        told = outputTokens
      },
    })
    const finishReason = metadata.stopReason === 'maxTokens' ? 'length' : 'stop'
    return { output: { content, finishReason }, usage: { inputTokens: prompt.length, outputTokens } }
  }

  return {
    kind,
    model,
    concurrency: 1,
    load: async () => {},
    run,
    async probe(signal) {
      await measure(run, kind, PROBE, signal)
      const { speed, output } = await measure(run, kind, PROBE, signal)
      if (!output.content) throw new RunnerError('wrong_answer', 'the model wrote nothing')
      const digest = await weightsDigest([MODEL_FILE])
      // It has no chat format to leave out.
      return { speed, context: CONTEXT, quantization: 'F16', digest, capabilities: ['raw'] }
    },
    close: () => llama.dispose(),
  }
}

/** The token of byte 0. The tokens of the bytes follow each other; llama.cpp's own tokenizer would alter spaces. */
function byteTokens(newline: Token[], bos: Token | null): number {
  const token = newline.at(-1)
  if (token === undefined || bos === null) throw new RunnerError('wrong_model', 'the model does not know bytes')
  return token - 0x0a
}
