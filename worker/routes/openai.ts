/** The OpenAI-compatible surface: the same tasks, under the names its clients know. */
import { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import { z } from 'zod'
import { DomainError } from '#core/errors.ts'
import { INPUTS, isEnded, LIMITS, type OutputOf, SubmitTask, type TaskView } from '#core/protocol.ts'
import { encodeRequests, toRequest } from '#core/request.ts'
import { parseTaskId } from '#core/task-id.ts'
import type { Principal } from '../auth.ts'
import { type Network, networkOf } from '../env.ts'
import { idempotencyOf } from '../idempotency.ts'
import { type AuthEnv, scope } from '../middleware/auth.ts'
import { readBody } from '../middleware/body.ts'
import { fromJson } from '../outcome.ts'
import { watchTask } from '../watch.ts'

const ChatRequest = INPUTS['llm.chat'].extend({
  model: z.string().min(1).max(200),
  max_completion_tokens: z.int().min(1).max(131_072).optional(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().optional() }).nullish(),
})
type ChatRequest = z.output<typeof ChatRequest>

const EmbeddingsRequest = z.object({
  model: z.string().min(1).max(200),
  input: z.union([z.string().min(1), z.array(z.string().min(1)).min(1).max(64)]),
  encoding_format: z.enum(['float', 'base64']).default('float'),
})

export const models = new Hono<AuthEnv>().get('/', async (c) =>
  c.json({ object: 'list', data: await networkOf(c.env).market().models() }),
)

export const chat = new Hono<AuthEnv>().post('/', scope('tasks:write'), async (c) => {
  const request = await readBody(c, ChatRequest)
  const network = networkOf(c.env)
  const principal = c.get('principal')
  // A stream has no key: who goes away in the middle cancels its task, and there would be nothing to repeat.
  const repeatable = request.stream === true ? undefined : c.req.header('idempotency-key')
  const task = await submit(network, principal, chatTask(request), repeatable)
  c.header('x-daicn-task', task.id)
  if (request.stream !== true) return c.json(completion(await ended(network, principal, task)))
  return streamSSE(c, async (stream) => {
    const watch = await watchTask(network, task.id, '')
    stream.onAbort(async () => {
      watch.close()
      await line(network, task).cancel(principal.address, task.id)
    })
    const send = (chunk: unknown) => stream.writeSSE({ data: JSON.stringify(chunk) })
    await send(chunkOf(task, { role: 'assistant', content: '' }))
    let told = ''
    let own = { attempt: 0, text: '' }
    let over = false
    for await (const event of watch.events) {
      if (event.type === 'output') {
        own = { attempt: event.attempt, text: (event.attempt === own.attempt ? own.text : '') + event.delta }
        // A later attempt begins anew: what the client has of it already is not told again.
        if (own.text.length <= told.length && told.startsWith(own.text)) continue
        if (!own.text.startsWith(told)) break
        await send(chunkOf(task, { content: own.text.slice(told.length) }))
        told = own.text
      }
      if (event.type === 'done') {
        await sendEnd(send, event.task, request.stream_options?.include_usage === true)
        over = true
      }
    }
    if (!over) {
      watch.close()
      await line(network, task).cancel(principal.address, task.id)
      await send({ error: INTERRUPTED })
    }
    await stream.writeSSE({ data: '[DONE]' })
  })
})

export const embeddings = new Hono<AuthEnv>().post('/', scope('tasks:write'), async (c) => {
  const { model, input, encoding_format } = await readBody(c, EmbeddingsRequest)
  const network = networkOf(c.env)
  const principal = c.get('principal')
  const texts = typeof input === 'string' ? [input] : input
  const embed = { kind: 'text.embed', model, input: { texts } }
  const submitted = await submit(network, principal, embed, c.req.header('idempotency-key'))
  c.header('x-daicn-task', submitted.id)
  const task = succeeded(await ended(network, principal, submitted))
  const { embeddings } = task.output as OutputOf<'text.embed'>
  return c.json({
    object: 'list',
    model,
    data: embeddings.map((embedding, index) => ({
      object: 'embedding',
      index,
      embedding: encoding_format === 'base64' ? base64Floats(embedding) : embedding,
    })),
    usage: { prompt_tokens: task.usage!.inputTokens, total_tokens: task.usage!.inputTokens },
  })
})

const INTERRUPTED = {
  message: 'The stream was interrupted and could not be continued. The task was cancelled; nothing is charged for it.',
  type: 'server_error',
  code: 'stream_interrupted',
  param: null,
}

function chatTask(request: ChatRequest): z.input<typeof SubmitTask> {
  const { model, stream, stream_options: _, max_completion_tokens, ...input } = request
  const max_tokens = input.max_tokens ?? max_completion_tokens
  return {
    kind: 'llm.chat',
    model,
    input: max_tokens === undefined ? input : { ...input, max_tokens },
    stream: stream === true,
  }
}

async function submit(
  network: Network,
  { address, key }: Principal,
  task: z.input<typeof SubmitTask>,
  idempotencyKey: string | undefined,
): Promise<TaskView> {
  const requests = encodeRequests([toRequest(SubmitTask.parse(task))])
  const idempotency = await idempotencyOf(idempotencyKey, address, requests)
  const [view] = fromJson(await network.line().submit(address, key, requests, 0, idempotency))
  return view!
}

/** Waits until the task has ended; its deadline bounds this. */
async function ended(network: Network, { address }: Principal, task: TaskView): Promise<TaskView> {
  let view = task
  while (!isEnded(view.status)) {
    view = fromJson(await line(network, task).read(address, task.id, LIMITS.waitSeconds * 1000))
  }
  return view
}

const line = (network: Network, { id }: TaskView) => network.line(parseTaskId(id)!.cell)

/** @throws DomainError when the task ended in any other way */
function succeeded(task: TaskView): TaskView {
  const detail = task.error ? `${task.error.code}: ${task.error.message}` : `task ${task.id}`
  if (task.status === 'failed') throw new DomainError('task_failed', { detail })
  if (task.status === 'expired') throw new DomainError('task_expired', { detail })
  if (task.status === 'cancelled') throw new DomainError('task_cancelled', { detail })
  return task
}

function completion(view: TaskView) {
  const task = succeeded(view)
  const { content, finishReason, ...more } = task.output as OutputOf<'llm.chat'>
  return {
    id: `chatcmpl-${task.id}`,
    object: 'chat.completion',
    created: Math.floor(task.createdAt / 1000),
    model: task.model,
    choices: [
      { index: 0, message: { role: 'assistant', content, ...more }, finish_reason: finishReason, logprobs: null },
    ],
    usage: usageOf(task),
  }
}

function chunkOf({ id, createdAt, model }: TaskView, delta: unknown, finish_reason: string | null = null) {
  return {
    id: `chatcmpl-${id}`,
    object: 'chat.completion.chunk',
    created: Math.floor(createdAt / 1000),
    model,
    choices: [{ index: 0, delta, finish_reason }],
  }
}

async function sendEnd(send: (chunk: unknown) => Promise<void>, task: TaskView, includeUsage: boolean): Promise<void> {
  if (task.status !== 'succeeded') {
    const code = task.error?.code ?? task.status
    const message = task.error?.message ?? 'The task was cancelled.'
    return send({ error: { message, type: 'server_error', code, param: null } })
  }
  const { finishReason } = task.output as OutputOf<'llm.chat'>
  await send(chunkOf(task, {}, finishReason))
  if (includeUsage) await send({ ...chunkOf(task, {}), choices: [], usage: usageOf(task) })
}

function usageOf({ usage }: TaskView) {
  const { inputTokens, outputTokens } = usage!
  return { prompt_tokens: inputTokens, completion_tokens: outputTokens, total_tokens: inputTokens + outputTokens }
}

/** Little-endian 32-bit floats, as OpenAI's clients decode them. */
function base64Floats(values: number[]): string {
  const bytes = new Uint8Array(Float32Array.from(values).buffer)
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
}
