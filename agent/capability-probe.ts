/**
 * What a model server honours beyond a plain chat, found out by asking for it in a way that an answer shows: many servers take
 * a field that they do not know and say nothing.
 */
import { maxUnits } from '#core/pricing.ts'
import { OUTPUTS, type OutputOf } from '#core/protocol/work.ts'
import type { Runner } from './runner.ts'

type Chat = OutputOf<'llm.chat'>
type Sign = { capability: string; input: Record<string, unknown>; shows: (output: Chat) => boolean }

const PROBE_MS = 30_000
const say = (content: string) => ({ messages: [{ role: 'user', content }], temperature: 0 })
const SCHEMA = {
  type: 'object',
  properties: { count: { type: 'integer' } },
  required: ['count'],
  additionalProperties: false,
}

const SIGNS: Sign[] = [
  {
    capability: 'tools',
    input: {
      ...say('How many letters has the word "market"? Use the tool.'),
      tools: [{ type: 'function', function: { name: 'count', description: 'Takes a count', parameters: SCHEMA } }],
      tool_choice: 'required',
      max_tokens: 256,
    },
    shows: ({ tool_calls = [] }) => tool_calls.length > 0,
  },
  {
    capability: 'json_schema',
    // Not asked for in words, so that only who honours the schema answers with it.
    input: {
      ...say('Say hello.'),
      response_format: { type: 'json_schema', json_schema: { name: 'count', schema: SCHEMA, strict: true } },
      max_tokens: 256,
    },
    shows: ({ content }) => Number.isInteger(objectIn(content)?.count),
  },
  {
    capability: 'json_object',
    input: { ...say('Say hello as JSON.'), response_format: { type: 'json_object' }, max_tokens: 256 },
    shows: ({ content }) => objectIn(content) !== null,
  },
  {
    capability: 'logprobs',
    input: { ...say('Say hello.'), logprobs: true, top_logprobs: 1, max_tokens: 4 },
    shows: ({ logprobs }) => Array.isArray(logprobs?.content) && logprobs.content.length > 0,
  },
  {
    capability: 'n',
    input: { ...say('Say hello.'), n: 2, max_tokens: 4 },
    shows: ({ alternatives = [] }) => alternatives.length === 1,
  },
  {
    capability: 'raw',
    input: { ...say('Once upon a time'), raw: true, max_tokens: 4 },
    shows: ({ content }) => Boolean(content),
  },
]

/** The capabilities that a runner's answers show. */
export async function honoured(run: Runner['run'], signal: AbortSignal): Promise<string[]> {
  const found: string[] = []
  for (const { capability, input, shows } of SIGNS) {
    const options = {
      signal: AbortSignal.any([signal, AbortSignal.timeout(PROBE_MS)]),
      onDelta: () => {},
      maxUnits: maxUnits('llm.chat', input),
    }
    // A server that refuses, or takes too long, does not honour it; that is no fault.
    const outcome = await run(input, options).catch(() => null)
    signal.throwIfAborted()
    const output = outcome && OUTPUTS['llm.chat'].safeParse(outcome.output)
    if (output?.success && shows(output.data)) found.push(capability)
  }
  return found
}

function objectIn(content: string | null): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(content ?? '')
    return typeof value === 'object' && !Array.isArray(value) ? (value as Record<string, unknown> | null) : null
  } catch {
    return null
  }
}
