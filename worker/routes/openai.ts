/** The OpenAI-compatible surface: the same tasks, under the names its clients know. */
import { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import { ChatRequest, chatChunk, chatCompletion, chatEnd, chatTask, withoutNulls } from '#core/openai.ts'
import type { TaskView } from '#core/protocol.ts'
import { networkOf } from '../env.ts'
import { type AuthEnv, scope } from '../middleware/auth.ts'
import { parse, readJson } from '../middleware/body.ts'
import { watchTask } from '../watch.ts'
import { allSucceeded, lineOf, submitAll } from './openai/task.ts'

export const chat = new Hono<AuthEnv>().post('/', scope('tasks:write'), async (c) => {
  const request = parse(ChatRequest, withoutNulls(await readJson(c)))
  const network = networkOf(c.env)
  const principal = c.get('principal')
  // A stream has no key: who goes away in the middle cancels its task, and there would be nothing to repeat.
  const repeatable = request.stream === true ? undefined : c.req.header('idempotency-key')
  const [task] = (await submitAll(network, principal, [chatTask(request)], repeatable)) as [TaskView]
  c.header('x-daicn-task', task.id)
  if (request.stream !== true) {
    const [done] = await allSucceeded(network, principal, [task])
    return c.json(chatCompletion(done!))
  }
  return streamSSE(c, async (stream) => {
    const watch = await watchTask(network, task.id, '')
    stream.onAbort(async () => {
      watch.close()
      await lineOf(network, task).cancel(principal.address, task.id)
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
      await lineOf(network, task).cancel(principal.address, task.id)
      await send({ error: INTERRUPTED })
    }
    await stream.writeSSE({ data: '[DONE]' })
  })
})

const INTERRUPTED = {
  message: 'The stream was interrupted and could not be continued. The task was cancelled; nothing is charged for it.',
  type: 'server_error',
  code: 'stream_interrupted',
  param: null,
}

const chunkOf = (task: TaskView, delta: object) => chatChunk(task, [{ index: 0, delta, finish_reason: null }])

async function sendEnd(send: (chunk: unknown) => Promise<void>, task: TaskView, includeUsage: boolean): Promise<void> {
  if (task.status !== 'succeeded') {
    const code = task.error?.code ?? task.status
    const message = task.error?.message ?? 'The task was cancelled.'
    return send({ error: { message, type: 'server_error', code, param: null } })
  }
  for (const chunk of chatEnd(task, includeUsage)) await send(chunk)
}
