/**
 * OpenAI's requests as tasks, and the tasks' outputs as OpenAI's answers. A request may carry one field of ours, `daicn`, with the
 * terms of its task; all others are OpenAI's own, or the upstream's.
 */
import * as z from 'zod'
import type { ChatPiece } from './protocol/chat-piece.ts'
import { SubmitTask, type TaskView } from './protocol/task.ts'
import { choicesOf, INPUTS, type OutputOf, type Usage } from './protocol/work.ts'

/** Clients send null for what they leave at its default. */
function withoutNulls(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null))
}
const lenient = <S extends z.ZodType>(schema: S) =>
  z.preprocess(withoutNulls, schema) as unknown as z.ZodType<z.output<S>, z.input<S>>

const Model = z.string().min(1).max(200)
/** The terms of the task that a request becomes, as `POST /v1/tasks` takes them. */
const Terms = SubmitTask.pick({
  maxPrice: true,
  preference: true,
  requirements: true,
  deadlineSeconds: true,
  maxAttempts: true,
  assurance: true,
}).partial()
const StreamOptions = z.looseObject({ include_usage: z.boolean().optional() })

export const ChatRequest = lenient(
  INPUTS['llm.chat']
    .extend({
      model: Model,
      stream: z.boolean().optional(),
      stream_options: StreamOptions.optional(),
      daicn: Terms.optional(),
    })
    .meta({ id: 'ChatRequest' }),
)
export type ChatRequest = z.output<typeof ChatRequest>

const TEXT_ONLY = 'must be text or an array of texts; token ids differ between models and are not taken'

export const CompletionRequest = lenient(
  INPUTS['llm.chat']
    .omit({ messages: true, raw: true, max_completion_tokens: true, tools: true, response_format: true })
    .extend({
      model: Model,
      prompt: z.union([z.string(), z.array(z.string()).min(1).max(64)], TEXT_ONLY),
      max_tokens: z.int().min(1).max(131_072).default(16),
      /** Begin the text with its prompt. */
      echo: z.boolean().optional(),
      stream: z.boolean().optional(),
      stream_options: StreamOptions.optional(),
      daicn: Terms.optional(),
    })
    .meta({ id: 'CompletionRequest' }),
)
export type CompletionRequest = z.output<typeof CompletionRequest>

/** Texts of one embeddings request, and of each task that it is cut into. */
const EMBEDDING_TEXTS = 2048
export const TASK_TEXTS = 64

export const EmbeddingsRequest = lenient(
  z
    .strictObject({
      model: Model,
      input: z.union([z.string().min(1), z.array(z.string().min(1)).min(1).max(EMBEDDING_TEXTS)], TEXT_ONLY),
      encoding_format: z.enum(['float', 'base64']).default('float'),
      dimensions: z.int().min(1).max(65_536).optional(),
      user: z.string().optional(),
      daicn: Terms.optional(),
    })
    .meta({ id: 'EmbeddingsRequest' }),
)
export type EmbeddingsRequest = z.output<typeof EmbeddingsRequest>

type TaskOrder = z.input<typeof SubmitTask>

export function chatTask({ model, stream, stream_options: _, daicn, ...chat }: ChatRequest): TaskOrder {
  const { max_completion_tokens, ...input } = chat
  const max_tokens = input.max_tokens ?? max_completion_tokens
  return {
    ...daicn,
    kind: 'llm.chat',
    model,
    input: max_tokens === undefined ? input : { ...input, max_tokens },
    stream: stream === true,
  }
}

/** A task for each prompt. */
export function completionTasks(request: CompletionRequest): TaskOrder[] {
  const { model, prompt, echo: _echo, stream: _stream, stream_options: _options, daicn, ...fields } = request
  return promptsOf(request).map((content) => ({
    ...daicn,
    kind: 'llm.chat',
    model,
    input: { ...fields, raw: true, messages: [{ role: 'user', content }] },
  }))
}

export const promptsOf = ({ prompt }: CompletionRequest): string[] => (typeof prompt === 'string' ? [prompt] : prompt)

/** A task for every 64 texts. */
export function embeddingTasks({ model, input, dimensions, daicn }: EmbeddingsRequest): TaskOrder[] {
  const texts = typeof input === 'string' ? [input] : input
  return Array.from({ length: Math.ceil(texts.length / TASK_TEXTS) }, (_, i) => ({
    ...daicn,
    kind: 'text.embed',
    model,
    input: {
      texts: texts.slice(i * TASK_TEXTS, (i + 1) * TASK_TEXTS),
      ...(dimensions !== undefined && { dimensions }),
    },
  }))
}

/* Answers. The tasks have succeeded. */

type ChatOutput = OutputOf<'llm.chat'>
const seconds = (ms: number): number => Math.floor(ms / 1000)

export function chatCompletion(task: TaskView) {
  return {
    id: `chatcmpl-${task.id}`,
    object: 'chat.completion',
    created: seconds(task.createdAt),
    model: task.model,
    choices: choicesOf(task.output as ChatOutput).map(({ content, finishReason, logprobs = null, ...more }, index) => ({
      index,
      message: { role: 'assistant', content, ...more },
      finish_reason: finishReason,
      logprobs,
    })),
    usage: usageOf([task]),
  }
}

/** A chunk of a streamed chat. */
export function chatChunk({ id, createdAt, model }: TaskView, choices: object[], usage?: object) {
  const created = seconds(createdAt)
  return { id: `chatcmpl-${id}`, object: 'chat.completion.chunk', created, model, choices, ...(usage && { usage }) }
}

/** A piece of a streamed chat as its chunk. @param isFirst of its choice, which then says whose it is */
export function pieceChunk(task: TaskView, { index, logprobs, tool_calls, ...texts }: ChatPiece, isFirst: boolean) {
  // A call begins with all its parts, as clients expect.
  const calls = tool_calls?.map(({ function: called, ...call }) => ({
    ...call,
    function: { ...(call.id !== undefined && { arguments: '' }), ...called },
  }))
  const delta = { ...(isFirst && { role: 'assistant' }), ...texts, ...(calls && { tool_calls: calls }) }
  return chatChunk(task, [{ index, delta, ...(logprobs && { logprobs }), finish_reason: null }])
}

/** The end of a streamed chat, when all pieces of it were told. */
export function chatEnd(task: TaskView, includeUsage: boolean): object[] {
  const chunks = choicesOf(task.output as ChatOutput).map((choice, index) => {
    const { content: _, refusal, reasoning_content, tool_calls, logprobs, finishReason, ...more } = choice
    return chatChunk(task, [{ index, delta: more, finish_reason: finishReason }])
  })
  if (includeUsage) chunks.push(chatChunk(task, [], usageOf([task])))
  return chunks
}

/** The answer to a plain completion, from the tasks of its prompts in order. */
export function textCompletion(request: CompletionRequest, tasks: TaskView[]) {
  const prompts = promptsOf(request)
  const choices = tasks.flatMap((task, i) =>
    choicesOf(task.output as ChatOutput).map(({ content, finishReason, logprobs = null }) => ({
      text: (request.echo ? prompts[i]! : '') + (content ?? ''),
      logprobs,
      finish_reason: finishReason,
    })),
  )
  return {
    id: `cmpl-${tasks[0]!.id}`,
    object: 'text_completion',
    created: seconds(tasks[0]!.createdAt),
    model: tasks[0]!.model,
    choices: choices.map((choice, index) => ({ index, ...choice })),
    usage: usageOf(tasks),
  }
}

/** The same as the chunks of a stream: a choice each. */
export function textChunks(request: CompletionRequest, tasks: TaskView[]): object[] {
  const { choices, usage, ...head } = textCompletion(request, tasks)
  const chunks: object[] = choices.map((choice) => ({ ...head, choices: [choice] }))
  return request.stream_options?.include_usage ? [...chunks, { ...head, choices: [], usage }] : chunks
}

/** @param encode how each embedding is to be written */
export function embeddingList(tasks: TaskView[], encode: (embedding: number[]) => unknown) {
  const embeddings = tasks.flatMap(({ output }) => (output as OutputOf<'text.embed'>).embeddings)
  const { prompt_tokens } = usageOf(tasks)
  return {
    object: 'list',
    model: tasks[0]!.model,
    data: embeddings.map((embedding, index) => ({ object: 'embedding', index, embedding: encode(embedding) })),
    usage: { prompt_tokens, total_tokens: prompt_tokens },
  }
}

function usageOf(tasks: TaskView[]) {
  const sum = (of: keyof Usage) => tasks.reduce((total, { usage }) => total + usage![of], 0)
  const [prompt_tokens, completion_tokens] = [sum('inputTokens'), sum('outputTokens')]
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }
}
