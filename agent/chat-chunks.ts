/** Puts the chunks of a streamed OpenAI chat completion, or of a plain completion, together again. */
import type { Usage } from '#core/protocol/work.ts'
import { RunnerError, type RunOptions } from './runner.ts'

type ToolCall = { index?: number; id?: string; type?: string; function?: { name?: string; arguments?: string } }
/** OpenAI's lists of what each token was: one list a chat, several side by side in a plain completion. */
type Logprobs = Record<string, unknown>

type ChunkChoice = {
  index?: number
  /** Of a plain completion. */
  text?: string
  delta?: {
    content?: string | null
    refusal?: string | null
    reasoning_content?: string | null
    reasoning?: string | null
    tool_calls?: ToolCall[]
  }
  logprobs?: Logprobs | null
  finish_reason?: string | null
}

type Chunk = {
  choices?: ChunkChoice[]
  usage?: { prompt_tokens?: number; completion_tokens?: number } | null
  error?: { message?: string }
}

/** What goes beyond our own fields keeps OpenAI's names: requesters get it as the message of their completion. */
type Choice = {
  content: string | null
  finishReason: string
  refusal?: string
  reasoning_content?: string
  tool_calls?: ToolCall[]
  logprobs?: Logprobs
}

export type Chat = {
  output: Choice & { alternatives?: Choice[] }
  usage: Usage | undefined
  /** Chunks that carried output, about one a token. */
  pieces: number
}

type Draft = Omit<Required<Choice>, 'content' | 'finishReason'> & { content: string; finishReason: string | undefined }

/** @param onDelta told the text of the first choice as it comes */
export async function collectChat(events: AsyncIterable<string>, onDelta: RunOptions['onDelta']): Promise<Chat> {
  const drafts: Draft[] = []
  let usage: Usage | undefined
  let pieces = 0
  for await (const data of events) {
    if (data === '[DONE]') break
    const chunk = parse(data)
    if (chunk.error) throw new RunnerError('upstream_failed', `the model server stopped: ${chunk.error.message}`)
    if (chunk.usage)
      usage = { inputTokens: chunk.usage.prompt_tokens ?? 0, outputTokens: chunk.usage.completion_tokens ?? 0 }
    for (const choice of chunk.choices ?? []) {
      const { index = 0 } = choice
      drafts[index] ??= emptyDraft()
      const text = add(drafts[index], choice)
      if (text && index === 0) onDelta(text, 1)
      if (text || choice.delta?.reasoning_content || choice.delta?.reasoning || choice.delta?.tool_calls) pieces++
    }
  }
  const [first, ...others] = Array.from(drafts, finish)
  if (!first) throw brokenOff()
  return { output: others.length === 0 ? first : { ...first, alternatives: others }, usage, pieces }
}

const emptyDraft = (): Draft => ({
  content: '',
  finishReason: undefined,
  refusal: '',
  reasoning_content: '',
  tool_calls: [],
  logprobs: {},
})

/** @returns the text it brought */
function add(draft: Draft, { text: plain, delta = {}, logprobs, finish_reason }: ChunkChoice): string {
  const text = plain ?? delta.content ?? ''
  draft.content += text
  draft.refusal += delta.refusal ?? ''
  draft.reasoning_content += delta.reasoning_content ?? delta.reasoning ?? ''
  for (const call of delta.tool_calls ?? []) addToolCall(draft.tool_calls, call)
  for (const [name, list] of Object.entries(logprobs ?? {})) {
    if (Array.isArray(list)) draft.logprobs[name] = [...((draft.logprobs[name] as unknown[]) ?? []), ...list]
  }
  draft.finishReason = finish_reason ?? draft.finishReason
  return text
}

function finish(draft: Draft | undefined): Choice {
  if (draft?.finishReason === undefined) throw brokenOff()
  const { content, finishReason, refusal, reasoning_content, tool_calls, logprobs } = draft
  return {
    content: content === '' && (tool_calls.length > 0 || refusal) ? null : content,
    finishReason,
    ...(refusal && { refusal }),
    ...(reasoning_content && { reasoning_content }),
    ...(tool_calls.length > 0 && { tool_calls }),
    ...(Object.keys(logprobs).length > 0 && { logprobs }),
  }
}

const brokenOff = () => new RunnerError('upstream_failed', 'the model server broke off in the middle')

/** A call comes in pieces: its names first, then its arguments bit by bit. */
function addToolCall(calls: ToolCall[], { index = calls.length, id, type, function: piece }: ToolCall) {
  calls[index] ??= { type: 'function', function: { name: '', arguments: '' } }
  const call = calls[index]
  if (id) call.id = id
  if (type) call.type = type
  const target = call.function!
  target.name = (target.name ?? '') + (piece?.name ?? '')
  target.arguments = (target.arguments ?? '') + (piece?.arguments ?? '')
}

function parse(data: string): Chunk {
  try {
    return JSON.parse(data)
  } catch {
    throw new RunnerError('upstream_failed', 'the model server sent a chunk that is not JSON')
  }
}
