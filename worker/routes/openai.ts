/** The OpenAI-compatible surface: the same tasks, under the names its clients know. */
import { Hono } from 'hono'
import { createTold } from '#core/chat-told.ts'
import { SubmitHeaders } from '#core/lane.ts'
import { ChatRequest, chatCompletion, chatEnd, chatTask, pieceChunk } from '#core/openai.ts'
import { ChatChunk, ChatCompletion } from '#core/openai-answers.ts'
import type { ChatPiece } from '#core/protocol/chat-piece.ts'
import type { TaskError, TaskView } from '#core/protocol/task.ts'
import type { OutputOf } from '#core/protocol/work.ts'
import { type Env, networkOf } from '../env.ts'
import { logError } from '../log.ts'
import { operation } from '../middleware/operation.ts'
import { fromJson } from '../outcome.ts'
import { PAYMENT_ERRORS } from '../payment.ts'
import { streamEvents } from '../sse.ts'
import { watchTask } from '../watch.ts'
import { allSucceeded, lineOf, submitAll, toRequests, WAIT_ERRORS } from './openai/task.ts'

const declared = operation({
  summary: 'Chat with a model',
  details: "With `stream`, the answer is its chunks as server-sent events; the last one's data is `[DONE]`.",
  access: 'tasks:write',
  headers: SubmitHeaders,
  body: ChatRequest,
  examples: { chat: { model: 'llama-3.2-3b', messages: [{ role: 'user', content: 'Say hello.' }], max_tokens: 64 } },
  answers: { 200: ChatCompletion },
  events: ChatChunk,
  tasks: (request: ChatRequest) => toRequests([chatTask(request)]),
  errors: [...WAIT_ERRORS, ...PAYMENT_ERRORS],
})

export const chat = new Hono<{ Bindings: Env }>().post('/', declared, async (c) => {
  const request = c.req.valid('json')
  const network = networkOf(c.env)
  const principal = c.get('principal')
  // A stream has no key: who goes away in the middle cancels its task, and there would be nothing to repeat.
  const { 'idempotency-key': key, ...paid } = c.req.valid('header')
  const headers = request.stream === true || key === undefined ? paid : { ...paid, 'idempotency-key': key }
  const [task] = (await submitAll(network, principal, [chatTask(request)], headers)) as [TaskView]
  c.header('x-daicn-task', task.id)
  if (request.stream !== true) {
    const [done] = await allSucceeded(network, principal, [task])
    return c.json(chatCompletion(done!))
  }
  return streamEvents(c, async (stream) => {
    const watch = watchTask(network, task.id, '', true)
    stream.onGone(async () => {
      watch.close()
      await lineOf(network, task).cancel(principal.address, task.id)
    })
    const send = (chunk: unknown) => stream.send({ data: JSON.stringify(chunk) })
    const told = createTold()
    const begun = new Set<number>()
    const sendPieces = async (pieces: ChatPiece[]) => {
      for (const piece of pieces) {
        await send(pieceChunk(task, piece, !begun.has(piece.index)))
        begun.add(piece.index)
      }
    }
    let over = false
    try {
      await sendPieces([{ index: 0, content: '' }])
      for await (const event of watch.events) {
        if (event.type === 'output') {
          const pieces = told.take(event)
          if (pieces === null) break
          await sendPieces(pieces)
        }
        if (event.type === 'done') {
          over = true
          const rest = event.task.status === 'succeeded' ? told.rest(event.task.output as OutputOf<'llm.chat'>) : null
          if (rest === null) {
            await send({ error: streamError(errorOf(event.task), event.task, told.length()) })
          } else {
            await sendPieces(rest.filter((piece) => Object.keys(piece).length > 1))
            for (const chunk of chatEnd(event.task, request.stream_options?.include_usage === true)) await send(chunk)
          }
        }
      }
      if (!over) {
        watch.close()
        const cancelled = fromJson(await lineOf(network, task).cancel(principal.address, task.id))
        await send({ error: streamError(INTERRUPTED, cancelled, told.length()) })
      }
    } catch (error) {
      // The answer has begun: what went wrong can only be told in it.
      logError('stream_failed', error, { task: task.id })
      await send({ error: BROKEN })
    }
    await stream.send({ data: '[DONE]' })
  })
})

const INTERRUPTED = {
  code: 'stream_interrupted',
  message: 'The stream was interrupted and could not be continued. The task was cancelled.',
}

/** Says nothing of a charge: the task goes on without us. */
const BROKEN = {
  message: 'The stream broke at the edge; the task may still be running. GET /v1/tasks/:id tells how it ended.',
  type: 'server_error',
  code: 'internal',
  param: null,
}

const CONTRADICTED = {
  code: 'stream_contradicted',
  message: "The provider's result is not what it streamed; GET /v1/tasks/:id has the result.",
}

const errorOf = ({ status, error }: TaskView): TaskError => {
  if (status === 'succeeded') return CONTRADICTED
  return error ?? { code: status, message: 'The task was cancelled.' }
}

/** The error that ends a stream, with what the client has of it. That, and nothing else, is charged, unless there is a result. */
function streamError({ code, message }: TaskError, { units = 0, price = '0', status }: TaskView, characters: number) {
  const delivered = { tokens: units, characters, price }
  const part = units === 0 ? 'Nothing is charged.' : `Only what was delivered is charged (output tokens: ${units}).`
  const charge = status === 'succeeded' ? `The task is charged (${price} tokens).` : part
  return { message: `${message} ${charge}`, type: 'server_error', code, param: null, delivered }
}
