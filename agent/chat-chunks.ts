/** Puts the chunks of a streamed OpenAI chat completion together again. */
import type { Usage } from '#core/protocol.ts'
import { RunnerError } from './runner.ts'

type ToolCall = { index?: number; id?: string; type?: string; function?: { name?: string; arguments?: string } }

type Chunk = {
  choices?: {
    delta?: {
      content?: string | null
      reasoning_content?: string | null
      reasoning?: string | null
      tool_calls?: ToolCall[]
    }
    finish_reason?: string | null
  }[]
  usage?: { prompt_tokens?: number; completion_tokens?: number } | null
  error?: { message?: string }
}

export type Chat = {
  /** What goes beyond our own fields keeps OpenAI's names: requesters get it as the message of their completion. */
  output: { content: string | null; finishReason: string; reasoning_content?: string; tool_calls?: ToolCall[] }
  usage: Usage | undefined
  /** Chunks that carried output, about one a token. */
  pieces: number
}

export async function collectChat(events: AsyncIterable<string>, onDelta: (text: string) => void): Promise<Chat> {
  let content = ''
  let reasoning = ''
  let finishReason: string | undefined
  let usage: Usage | undefined
  let pieces = 0
  const toolCalls: ToolCall[] = []

  for await (const data of events) {
    if (data === '[DONE]') break
    const chunk = parse(data)
    if (chunk.error) throw new RunnerError('upstream_failed', `the model server stopped: ${chunk.error.message}`)
    if (chunk.usage)
      usage = { inputTokens: chunk.usage.prompt_tokens ?? 0, outputTokens: chunk.usage.completion_tokens ?? 0 }
    const choice = chunk.choices?.[0]
    if (!choice) continue
    finishReason = choice.finish_reason ?? finishReason
    const { content: text, reasoning_content, reasoning: thought, tool_calls } = choice.delta ?? {}
    if (text) {
      content += text
      onDelta(text)
    }
    reasoning += reasoning_content ?? thought ?? ''
    for (const call of tool_calls ?? []) addToolCall(toolCalls, call)
    if (text || reasoning_content || thought || tool_calls) pieces++
  }
  if (finishReason === undefined) throw new RunnerError('upstream_failed', 'the model server broke off in the middle')
  return {
    output: {
      content: content === '' && toolCalls.length > 0 ? null : content,
      finishReason,
      ...(reasoning ? { reasoning_content: reasoning } : {}),
      ...(toolCalls.length > 0 ? { tool_calls: toolCalls } : {}),
    },
    usage,
    pieces,
  }
}

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
