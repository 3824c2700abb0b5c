import { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import { z } from 'zod'
import { DomainError } from '#core/errors.ts'
import { LIMITS, SubmitTask, type TaskView } from '#core/protocol.ts'
import { encodeRequests, toRequest } from '#core/request.ts'
import { parseTaskId } from '#core/task-id.ts'
import type { Principal } from '../auth.ts'
import { holdBlobs } from '../blobs.ts'
import { isCell, type Network, networkOf } from '../env.ts'
import { idempotencyOf } from '../idempotency.ts'
import { type AuthEnv, scope } from '../middleware/auth.ts'
import { parse, readJson, seconds } from '../middleware/body.ts'
import { reply } from '../middleware/reply.ts'
import { upgrade } from '../middleware/upgrade.ts'
import { fromJson, type Json } from '../outcome.ts'
import { watchTask } from '../watch.ts'
import { checkWebhooks } from '../webhook.ts'

const Batch = z.array(z.unknown()).min(1).max(LIMITS.batchTasks)

export const tasks = new Hono<AuthEnv>()
  .post('/', scope('tasks:write'), async (c) => {
    const body = await readJson(c)
    const waitMs = seconds(c, 'waitSeconds', LIMITS.waitSeconds) * 1000
    const { address, key } = c.get('principal')
    const batch = Array.isArray(body)
    const requests = batch
      ? parse(Batch, body).map((task, i) => toRequest(parse(SubmitTask, task, `/${i}`), `/${i}`))
      : [toRequest(parse(SubmitTask, body))]
    await checkWebhooks(networkOf(c.env), address, requests)
    await holdBlobs(networkOf(c.env), address, requests, Date.now())
    const encoded = encodeRequests(requests)
    const idempotency = await idempotencyOf(c.req.header('idempotency-key'), address, encoded)
    const views = await networkOf(c.env).line().submit(address, key, encoded, waitMs, idempotency)
    if (batch) return reply(c, `{"tasks":${views}}` as Json<{ tasks: TaskView[] }>, 201)
    // An array of one, without its brackets.
    return reply(c, views.slice(1, -1) as Json<TaskView>, 201)
  })
  .get('/:id', scope('tasks:read'), async (c) => {
    const waitMs = seconds(c, 'waitSeconds', LIMITS.waitSeconds) * 1000
    return reply(c, await readTask(networkOf(c.env), c.get('principal'), c.req.param('id'), waitMs), 200)
  })
  .post('/:id/cancel', scope('tasks:write'), async (c) => {
    const { id, cell } = known(c.req.param('id'))
    return reply(c, await networkOf(c.env).line(cell).cancel(c.get('principal').address, id), 200)
  })
  .get('/:id/events', scope('tasks:read'), async (c) => {
    const network = networkOf(c.env)
    const { id } = fromJson(await readTask(network, c.get('principal'), c.req.param('id'), 0))
    const after = c.req.header('last-event-id') ?? ''
    return streamSSE(c, async (stream) => {
      const watch = watchTask(network, id, after)
      stream.onAbort(() => watch.close())
      for await (const event of watch.events) {
        const { type, ...data } = event
        const cursor = event.type === 'output' ? { id: `${event.attempt}.${event.index + 1}` } : {}
        await stream.writeSSE({ event: type, data: JSON.stringify(data), ...cursor })
      }
    })
  })
  .get('/:id/socket', scope('tasks:read'), upgrade, async (c) => {
    const network = networkOf(c.env)
    const { id } = fromJson(await readTask(network, c.get('principal'), c.req.param('id'), 0))
    return network.room(id).fetch(`https://room/?after=${encodeURIComponent(c.req.query('after') ?? '')}`, {
      headers: { upgrade: 'websocket' },
    })
  })

function readTask(network: Network, { address }: Principal, task: string, waitMs: number): Promise<Json<TaskView>> {
  const { id, cell } = known(task)
  return network.line(cell).read(address, id, waitMs)
}

function known(id: string): { id: string; cell: string } {
  const parsed = parseTaskId(id)
  if (!parsed || !isCell(parsed.cell)) throw new DomainError('task_not_found')
  return { id, cell: parsed.cell }
}
