/** Puts the chunks of a streamed OpenAI chat completion, or of a plain completion, together again. */
import type { ChatPiece } from '#core/protocol/chat-piece.ts'
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

/** @param onDelta told what is written, as it comes */
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
      const { logprobs, ...texts } = add(drafts[index], choice)
      const isOutput = Object.keys(texts).length > 1
      if (isOutput) pieces++
      if (isOutput || logprobs) tell({ ...texts, ...(logprobs && { logprobs }) }, isOutput ? 1 : 0, onDelta)
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

/** @returns what it brought */
function add(draft: Draft, { index = 0, text, delta = {}, logprobs, finish_reason }: ChunkChoice): ChatPiece {
  const piece: ChatPiece = { index }
  const texts = {
    content: text ?? delta.content,
    refusal: delta.refusal,
    reasoning_content: delta.reasoning_content ?? delta.reasoning,
  }
  for (const [name, written] of Object.entries(texts) as [keyof typeof texts, string | null | undefined][]) {
    if (!written) continue
    draft[name] += written
    piece[name] = written
  }
  const calls = (delta.tool_calls ?? []).map((call) => addToolCall(draft.tool_calls, call))
  if (calls.length > 0) piece.tool_calls = calls
  for (const [name, list] of Object.entries(logprobs ?? {})) {
    if (!Array.isArray(list) || list.length === 0) continue
    draft.logprobs[name] = [...((draft.logprobs[name] as unknown[]) ?? []), ...list]
    piece.logprobs = { ...piece.logprobs, [name]: list }
  }
  draft.finishReason = finish_reason ?? draft.finishReason
  return piece
}

/** The text of the first choice goes by itself, and beside it what else there is. */
export function tell(piece: ChatPiece, tokens: number, onDelta: RunOptions['onDelta']): void {
  const { content = '', ...beside } = piece
  if (piece.index > 0) onDelta('', tokens, piece)
  else if (Object.keys(beside).length > 1) onDelta(content, tokens, beside)
  else onDelta(content, tokens)
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

/** A call comes in pieces: its names first, then its arguments bit by bit. @returns the piece, in full form */
function addToolCall(
  calls: ToolCall[],
  { index = calls.length, id, type, function: { name, arguments: more } = {} }: ToolCall,
): NonNullable<ChatPiece['tool_calls']>[number] {
  calls[index] ??= { type: 'function', function: { name: '', arguments: '' } }
  const call = calls[index]
  if (id) call.id = id
  if (type) call.type = type
  const target = call.function!
  target.name = (target.name ?? '') + (name ?? '')
  target.arguments = (target.arguments ?? '') + (more ?? '')
  return {
    index,
    ...(id && { id, type: type ?? 'function' }),
    function: { ...(name && { name }), ...(more && { arguments: more }) },
  }
}

function parse(data: string): Chunk {
  try {
    return JSON.parse(data)
  } catch {
    throw new RunnerError('upstream_failed', 'the model server sent a chunk that is not JSON')
  }
}
