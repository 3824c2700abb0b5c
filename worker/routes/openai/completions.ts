import { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import { DomainError } from '#core/errors.ts'
import { CompletionRequest, completionTasks, textChunks, textCompletion, withoutNulls } from '#core/openai.ts'
import { toOpenAiError } from '#core/openai-error.ts'
import { networkOf } from '../../env.ts'
import { type AuthEnv, scope } from '../../middleware/auth.ts'
import { parse, readJson } from '../../middleware/body.ts'
import { allSucceeded, lineOf, submitAll } from './task.ts'

/** The older plain completions: a prompt that the model goes on with, without a chat format. A stream has each choice whole. */
export const completions = new Hono<AuthEnv>().post('/', scope('tasks:write'), async (c) => {
  const request = parse(CompletionRequest, withoutNulls(await readJson(c)))
  const network = networkOf(c.env)
  const principal = c.get('principal')
  const submitted = await submitAll(network, principal, completionTasks(request), c.req.header('idempotency-key'))
  c.header('x-daicn-task', submitted.map(({ id }) => id).join())
  if (request.stream !== true) return c.json(textCompletion(request, await allSucceeded(network, principal, submitted)))
  return streamSSE(c, async (stream) => {
    stream.onAbort(async () => {
      await Promise.all(submitted.map((task) => lineOf(network, task).cancel(principal.address, task.id)))
    })
    const send = (chunk: object) => stream.writeSSE({ data: JSON.stringify(chunk) })
    try {
      for (const chunk of textChunks(request, await allSucceeded(network, principal, submitted))) await send(chunk)
    } catch (error) {
      if (!(error instanceof DomainError)) throw error
      await send({ error: toOpenAiError(error, 'completions').error })
    }
    await stream.writeSSE({ data: '[DONE]' })
  })
})
