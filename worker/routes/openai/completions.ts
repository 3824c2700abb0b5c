import { Hono } from 'hono'
import { DomainError } from '#core/errors.ts'
import { SubmitHeaders } from '#core/lane.ts'
import { CompletionRequest, completionTasks, textChunks, textCompletion } from '#core/openai.ts'
import { TextChunk, TextCompletion } from '#core/openai-answers.ts'
import { toOpenAiError } from '#core/openai-error.ts'
import { type Env, networkOf } from '../../env.ts'
import { operation } from '../../middleware/operation.ts'
import { PAYMENT_ERRORS } from '../../payment.ts'
import { streamEvents } from '../../sse.ts'
import { allSucceeded, lineOf, submitAll, toRequests, WAIT_ERRORS } from './task.ts'

const declared = operation({
  summary: 'Go on with a prompt',
  details:
    "The older plain completions, without a chat format. With `stream`, the answer is server-sent events, each choice whole; the last one's data is `[DONE]`.",
  access: 'tasks:write',
  headers: SubmitHeaders,
  body: CompletionRequest,
  examples: { prompt: { model: 'llama-3.2-3b', prompt: 'An open market for', max_tokens: 16 } },
  answers: { 200: TextCompletion },
  events: TextChunk,
  tasks: (request: CompletionRequest) => toRequests(completionTasks(request)),
  errors: [...WAIT_ERRORS, ...PAYMENT_ERRORS],
})

export const completions = new Hono<{ Bindings: Env }>().post('/', declared, async (c) => {
  const request = c.req.valid('json')
  const network = networkOf(c.env)
  const principal = c.get('principal')
  const submitted = await submitAll(network, principal, completionTasks(request), c.req.valid('header'))
  c.header('x-daicn-task', submitted.map(({ id }) => id).join())
  if (request.stream !== true) return c.json(textCompletion(request, await allSucceeded(network, principal, submitted)))
  return streamEvents(c, async (stream) => {
    stream.onGone(async () => {
      await Promise.all(submitted.map((task) => lineOf(network, task).cancel(principal.address, task.id)))
    })
    const send = (chunk: object) => stream.send({ data: JSON.stringify(chunk) })
    try {
      for (const chunk of textChunks(request, await allSucceeded(network, principal, submitted))) await send(chunk)
    } catch (error) {
      if (!(error instanceof DomainError)) throw error
      await send({ error: toOpenAiError(error, 'completions').error })
    }
    await stream.send({ data: '[DONE]' })
  })
})
