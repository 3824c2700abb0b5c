/** llm.chat by a server that speaks the OpenAI protocol: ollama, vLLM, llama-server and others. */
import { createJoint } from '#core/chat-joint.ts'
import { maxTokens, utf8Length } from '#core/pricing.ts'
import type { ChatTexts } from '#core/protocol/chat-piece.ts'
import type { InputOf, Prefix } from '#core/protocol/work.ts'
import { honoured } from '../capability-probe.ts'
import { type Chat as Collected, collectChat, tell } from '../chat-chunks.ts'
import { type Answer, call } from '../http.ts'
import { measure } from '../measure.ts'
import { textOf } from '../prompt.ts'
import { type Outcome, type Probe, type Runner, RunnerError, type RunOptions } from '../runner.ts'
import { createSeam } from '../seam.ts'
import { eventData } from '../sse.ts'

export const kind = 'llm.chat'
type Chat = InputOf<typeof kind>
type ChatOutput = Collected['output']

export type Upstream = {
  /** Origin of the server. */
  url: string
  model: string
  concurrency: number
  apiKey: string | undefined
  /** What the server says of the model. */
  known: Omit<Probe, 'speed'>
}

const PROBE_TOKENS = 48
const PROBE: Chat = {
  messages: [{ role: 'user', content: 'Count from one to thirty in words.' }],
  max_tokens: PROBE_TOKENS,
  temperature: 0,
}
const BYTES_A_TOKEN = 4
const DIFFERS = 'the model does not write again what was delivered before'
/** vLLM needs to be told to go on with the last message; llama-server and others do so by themselves. */
const PREFILL = { continue_final_message: true, add_generation_prompt: false }

type Limit = { max_tokens?: number; max_completion_tokens?: number }
type Listener = Pick<RunOptions, 'signal' | 'onDelta'>

export function createUpstreamRunner(upstream: Upstream): Runner {
  const { model, concurrency, known } = upstream
  /** Learnt by the probe: the server goes on with an assistant's message that it is given. */
  let goesOn = false

  const complete = async (chat: Chat, limit: Limit, { signal, onDelta }: Listener) => {
    const { path, body } = chat.raw ? completionOf(chat) : { path: 'chat/completions', body: chat }
    const asked = { ...body, ...limit, model, stream: true, stream_options: { include_usage: true } }
    const response = await ask(upstream, path, asked, signal)
    const { output, usage, pieces } = await collectChat(eventData(response.body), onDelta)
    const inputTokens = Math.ceil(utf8Length(JSON.stringify(chat.messages)) / BYTES_A_TOKEN)
    return { output, usage: usage ?? { inputTokens, outputTokens: pieces } }
  }

  const run: Runner['run'] = async (input, { signal, onDelta, maxUnits, prefix }) => {
    const chat = input as Chat
    const limit = limitOf(chat, maxUnits)
    const listener = { signal, onDelta }
    if (!prefix) return complete(chat, limit, listener)
    const canGoOn = chat.raw || (goesOn && canPrefill(chat, prefix))
    return canGoOn && isPlain(chat) ? goOn(chat, limit, prefix, listener) : writeAgain(chat, limit, prefix, listener)
  }

  /** The server writes what follows the prefix. */
  async function goOn(chat: Chat, limit: Limit, prefix: Prefix, { signal, onDelta }: Listener): Promise<Outcome> {
    const [[name, most]] = Object.entries(limit) as [[string, number]]
    const left = most - prefix.tokens
    if (left < 1) return { output: { content: '', finishReason: 'length' }, usage: { inputTokens: 0, outputTokens: 0 } }
    // Chat templates cut white space from the end of a message: the model then writes it again, on top of what is left.
    const given = chat.raw ? prefix.text : prefix.text.trimEnd()
    const again = prefix.text.slice(given.length)
    const seam = createSeam(again, onDelta, left)
    const longer = { [name]: left + again.length }
    const { output, usage } = await complete(withGiven(chat, given), longer, { signal, onDelta: seam.push })
    // Of the prefix the server read what was given; the rest it wrote again.
    const inputTokens = Math.max(usage.inputTokens - (prefix.tokens - seam.repeated()), 0)
    const outputTokens = Math.min(usage.outputTokens - seam.repeated(), left)
    const finishReason = seam.isCut() ? 'length' : output.finishReason
    return { output: { ...output, content: seam.rest(), finishReason }, usage: { inputTokens, outputTokens } }
  }

  /** The server writes everything again, and what is known already is left out. */
  async function writeAgain(chat: Chat, limit: Limit, prefix: Prefix, { signal, onDelta }: Listener): Promise<Outcome> {
    const stopping = new AbortController()
    const known = { ...(prefix.text && { '0.content': prefix.text }), ...prefix.beside }
    const joint = createJoint(known)
    const push: RunOptions['onDelta'] = (text, tokens, beside = { index: 0 }) => {
      if (stopping.signal.aborted) return
      const fresh = joint.push(text ? { ...beside, content: text } : beside)
      if (fresh === null) stopping.abort(new RunnerError('cannot_continue', DIFFERS))
      else if (Object.keys(fresh).length > 1) tell(fresh, tokens, onDelta)
    }
    const listener = { signal: AbortSignal.any([signal, stopping.signal]), onDelta: push }
    const { output, usage } = await complete(chat, limit, listener).finally(() => {
      if (!signal.aborted) stopping.signal.throwIfAborted()
    })
    if (!joint.isWhole()) throw new RunnerError('cannot_continue', DIFFERS)
    const outputTokens = Math.max(usage.outputTokens - prefix.tokens, 0)
    return { output: withNames(restOf(output, prefix), known), usage: { ...usage, outputTokens } }
  }

  /** Whether the server, given the first half of what it wrote for the probe, writes the second. */
  async function probeGoingOn(pieces: string[], signal: AbortSignal): Promise<boolean> {
    const half = pieces.slice(0, pieces.length / 2)
    const prefix = { text: half.join(''), tokens: half.length }
    if (!canPrefill(PROBE, prefix)) return false
    const { output } = await goOn(PROBE, { max_tokens: PROBE_TOKENS }, prefix, { signal, onDelta: () => {} }).catch(
      () => ({ output: null }),
    )
    return output?.content === pieces.slice(half.length).join('')
  }

  return {
    kind,
    model,
    concurrency,
    load: async () => {},
    run,
    async probe(signal) {
      await measure(run, kind, { ...PROBE, max_tokens: 1 }, signal) // the server may load the model first
      const pieces: string[] = []
      const listen: Runner['run'] = (input, options) =>
        run(input, { ...options, onDelta: (text) => void pieces.push(text) })
      const { speed, usage } = await measure(listen, kind, PROBE, signal)
      if (usage.outputTokens === 0) throw new RunnerError('wrong_answer', 'the model wrote nothing')
      goesOn = await probeGoingOn(pieces, signal)
      const capabilities = [...(known.capabilities ?? []), ...(await honoured(run, signal))]
      return { speed, ...known, capabilities }
    },
    async check(signal) {
      await measure(run, kind, { ...PROBE, max_tokens: 1 }, signal)
    },
    close: async () => {},
  }
}

/** The text of a chat's messages, to go on with as it is. */
function completionOf({ messages, raw: _, ...rest }: Chat) {
  return { path: 'completions', body: { ...rest, prompt: messages.map(textOf).join('\n') } }
}

/** No more output tokens than will be paid; the newer name of the field is kept where the requester used it. */
function limitOf(chat: Chat, maxUnits: number): Limit {
  const paid = Math.max(Math.floor(maxUnits / (chat.n ?? 1)), 1)
  const limit = Math.min(maxTokens(chat), paid)
  const isNewer = chat.max_tokens === undefined && chat.max_completion_tokens !== undefined && !chat.raw
  return isNewer ? { max_completion_tokens: limit } : { max_tokens: limit }
}

/** The chat, to be gone on with from a text that is there already. */
function withGiven(chat: Chat, content: string): Chat {
  if (chat.raw)
    return { ...chat, messages: [{ role: 'user', content: chat.messages.map(textOf).join('\n') + content }] }
  return { ...chat, ...PREFILL, messages: [...chat.messages, { role: 'assistant', content }] }
}

/** A second assistant's message is not everywhere allowed, nor one without text. */
const canPrefill = (chat: Chat, { text }: Prefix): boolean =>
  chat.messages.at(-1)!.role !== 'assistant' && text.trim() !== ''

/** The output with the text of its first choice only as far as it follows the prefix. */
function restOf(output: ChatOutput, { text }: Prefix): ChatOutput {
  return text === '' ? output : { ...output, content: (output.content ?? '').slice(text.length) }
}

/** Calls keep the names by which they were told first. */
function withNames({ alternatives = [], ...first }: ChatOutput, known: ChatTexts): Outcome['output'] {
  const named = (choice: ChatOutput, index: number) => {
    if (!choice.tool_calls) return choice
    const calls = choice.tool_calls.map((call, at) => ({
      ...call,
      id: known[`${index}.tool_calls.${at}.id`] ?? call.id,
    }))
    return { ...choice, tool_calls: calls }
  }
  const others = alternatives.map((choice, at) => named(choice, at + 1))
  return { ...named(first, 0), ...(others.length > 0 && { alternatives: others }) }
}

/** A grammar or a tool call would begin anew in the middle; further choices and logprobs are those of one run. */
const isPlain = ({ tools, response_format, logprobs, n }: Chat): boolean =>
  !tools && !response_format && !logprobs && (n ?? 1) === 1

/** @throws RunnerError upstream_unreachable, upstream_refused, upstream_failed */
export async function ask(
  { url, apiKey }: Upstream,
  path: string,
  body: Record<string, unknown>,
  signal: AbortSignal,
): Promise<Answer> {
  const response = await call(`${url}/v1/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(apiKey ? { authorization: `Bearer ${apiKey}` } : {}) },
    body: JSON.stringify(body),
    signal,
  }).catch((error: Error) => {
    throw new RunnerError('upstream_unreachable', `the model server does not answer (${error.message})`)
  })
  if (!response.ok) throw await refusal(response)
  return response
}

async function refusal(response: Answer): Promise<RunnerError> {
  const body = (await response.json().catch(() => undefined)) as { error?: { message?: string } | string } | undefined
  const message = typeof body?.error === 'string' ? body.error : body?.error?.message
  const code = response.status < 500 ? 'upstream_refused' : 'upstream_failed'
  return new RunnerError(code, `the model server answered ${response.status}: ${message ?? 'no reason given'}`)
}
