import { Hono } from 'hono'
import * as z from 'zod'
import { DomainError, SUBMIT_ERRORS } from '#core/errors.ts'
import { SubmitHeaders } from '#core/lane.ts'
import { DecisionList } from '#core/protocol/decision.ts'
import { TaskForecast } from '#core/protocol/forecast.ts'
import { SubmitTasks, TaskView, TaskViews, WaitQuery, WatchEvent } from '#core/protocol/task.ts'
import type { Address } from '#core/protocol/values.ts'
import { Evidence, Receipt } from '#core/receipt.ts'
import { type TaskRequest, toRequest } from '#core/request.ts'
import { parseTaskId } from '#core/task-id.ts'
import { TaskList, TaskListQuery } from '#core/task-list.ts'
import type { Principal } from '../auth.ts'
import { holdBlobs } from '../blobs.ts'
import { type Env, type Network, networkOf } from '../env.ts'
import { operation } from '../middleware/operation.ts'
import { reply } from '../middleware/reply.ts'
import { fromJson, type Json, unwrap } from '../outcome.ts'
import { PAYMENT_ERRORS } from '../payment.ts'
import { readEvidence, readReceipt } from '../receipt.ts'
import { LANE_ERRORS } from '../self-custody.ts'
import { streamEvents } from '../sse.ts'
import { submitRequests } from '../submission.ts'
import { listTasks } from '../task-list.ts'
import { withInputs } from '../uploaded-input.ts'
import { watchTask } from '../watch.ts'
import { checkWebhooks } from '../webhook.ts'

/** Outputs that a socket may have on its way before its reader must ask for more. */
const WINDOW = 1_024

const READ_ERRORS = ['task_not_found', 'market_restarted'] as const

const CHAT = { kind: 'llm.chat', input: { messages: [{ role: 'user', content: 'Say hello.' }], max_tokens: 64 } }
const EMBED = { kind: 'text.embed', input: { texts: ['An open market for AI compute.'] } }

const requestsOf = (body: z.output<typeof SubmitTasks>): TaskRequest[] =>
  Array.isArray(body) ? body.map((task, i) => toRequest(task, `/${i}`)) : [toRequest(body)]

const withUploads = (network: Network, owner: Address, body: z.output<typeof SubmitTasks>): Promise<TaskRequest[]> =>
  Array.isArray(body) ? withInputs(network, owner, body, (i) => `/${i}`) : withInputs(network, owner, [body], () => '')

export const tasks = new Hono<{ Bindings: Env }>()
  .post(
    '/',
    operation({
      summary: 'Submit a task, or up to 1,000',
      details: 'A task holds the most it can cost; when it ends, what was metered is captured and the rest released.',
      access: 'tasks:write',
      headers: SubmitHeaders,
      query: WaitQuery,
      body: SubmitTasks,
      examples: { chat: CHAT, batch: [CHAT, EMBED] },
      answers: { 201: z.union([TaskView, TaskViews]) },
      tasks: requestsOf,
      errors: [
        ...SUBMIT_ERRORS,
        ...PAYMENT_ERRORS,
        ...LANE_ERRORS,
        'unknown_kind',
        'price_below_unit',
        'not_comparable',
        'blob_not_found',
        'webhook_not_found',
      ],
    }),
    async (c) => {
      const body = c.req.valid('json')
      const waitMs = (c.req.valid('query').waitSeconds ?? 0) * 1000
      const principal = c.get('principal')
      const { address } = principal
      const network = networkOf(c.env)
      const requests = await withUploads(network, address, body)
      await checkWebhooks(network, address, requests)
      await holdBlobs(network, address, requests, Date.now())
      const views = await submitRequests(network, principal, requests, c.req.valid('header'), waitMs)
      if (Array.isArray(body)) return reply(c, `{"tasks":${views}}` as Json<{ tasks: TaskView[] }>, 201)
      // An array of one, without its brackets.
      return reply(c, views.slice(1, -1) as Json<TaskView>, 201)
    },
  )
  .get(
    '/',
    operation({
      summary: 'List the tasks of the account',
      details: 'Those that have not ended and the latest first; then the history, which has no inputs and outputs.',
      access: 'tasks:read',
      query: TaskListQuery,
      answers: { 200: TaskList },
    }),
    async (c) => {
      const { address } = c.get('principal')
      return c.json(await listTasks(networkOf(c.env), { by: 'requester', address }, c.req.valid('query')))
    },
  )
  .get(
    '/:id',
    operation({
      summary: 'Read a task, with its output once it has succeeded',
      access: 'tasks:read',
      query: WaitQuery,
      answers: { 200: TaskView },
      errors: READ_ERRORS,
    }),
    async (c) => {
      const waitMs = (c.req.valid('query').waitSeconds ?? 0) * 1000
      return reply(c, await readTask(networkOf(c.env), c.get('principal'), c.req.param('id'), waitMs), 200)
    },
  )
  .get(
    '/:id/forecast',
    operation({
      summary: 'When a task will start and finish',
      details: 'As p10, p50 and p90 from now on, learned from the tasks of its class.',
      access: 'tasks:read',
      answers: { 200: TaskForecast },
      errors: READ_ERRORS,
    }),
    async (c) => {
      const network = networkOf(c.env)
      const { id, cell } = known(network, c.req.param('id'))
      return c.json(unwrap(await network.market(cell).taskForecast(c.get('principal').address, id)))
    },
  )
  .post(
    '/:id/cancel',
    operation({
      summary: 'Cancel a task',
      details: 'One that has ended stays as it is.',
      access: 'tasks:write',
      answers: { 200: TaskView },
      errors: READ_ERRORS,
    }),
    async (c) => {
      const network = networkOf(c.env)
      const { id, cell } = known(network, c.req.param('id'))
      return reply(c, await network.line(cell).cancel(c.get('principal').address, id), 200)
    },
  )
  .get(
    '/:id/receipt',
    operation({
      summary: 'Read the signed receipt of a task that has succeeded',
      details:
        'What ran, who ran it, for whom and for how much, signed by its provider and countersigned by this edge.',
      access: 'tasks:read',
      answers: { 200: Receipt },
      errors: ['task_not_found', 'receipt_not_ready', 'receipt_unsigned', 'receipt_invalid'],
    }),
    async (c) => {
      const network = networkOf(c.env)
      const { id, cell } = known(network, c.req.param('id'))
      return c.json(await readReceipt(network, cell, c.get('principal').address, id))
    },
  )
  .get(
    '/:id/decisions',
    operation({
      summary: 'Read why a task went to whom it went',
      details:
        'A decision for each attempt that was noted: the rule, the winner, and the few other offers with most merit, each with its merit or why it was no candidate. Of a task with an assurance there are none before it is over, and of a busy market a hundred a second are noted.',
      access: 'tasks:read',
      answers: { 200: DecisionList },
      errors: READ_ERRORS,
    }),
    async (c) => {
      const network = networkOf(c.env)
      const { id, cell } = known(network, c.req.param('id'))
      const task = await network.market(cell).task(c.get('principal').address, id)
      return c.json({ decisions: fromJson(unwrap(task)).decisions ?? [] })
    },
  )
  .get(
    '/:id/evidence',
    operation({
      summary: 'Read the results of a task that were held against each other',
      details: 'Each with its output and the receipt that its provider signed: what a dispute is decided by.',
      access: 'tasks:read',
      answers: { 200: Evidence },
      errors: ['task_not_found', 'evidence_not_found'],
    }),
    async (c) => {
      const network = networkOf(c.env)
      const { id, cell } = known(network, c.req.param('id'))
      return c.json(await readEvidence(network, cell, c.get('principal').address, id))
    },
  )
  .get(
    '/:id/events',
    operation({
      summary: 'Watch a task as server-sent events',
      details: "An output's `id` is its cursor `<attempt>.<next index>`. The stream ends after `done`.",
      access: 'tasks:read',
      headers: z.object({ 'last-event-id': z.string().optional().describe('The cursor to resume from.') }),
      events: WatchEvent,
      errors: READ_ERRORS,
    }),
    async (c) => {
      const network = networkOf(c.env)
      const { id } = fromJson(await readTask(network, c.get('principal'), c.req.param('id'), 0))
      const after = c.req.valid('header')['last-event-id'] ?? ''
      return streamEvents(c, async (stream) => {
        const watch = watchTask(network, id, after)
        stream.onGone(() => watch.close())
        for await (const event of watch.events) {
          const { type, ...data } = event
          const cursor = event.type === 'output' ? { id: `${event.attempt}.${event.index + 1}` } : {}
          await stream.send({ event: type, data: JSON.stringify(data), ...cursor })
        }
      })
    },
  )
  .get(
    '/:id/socket',
    operation({
      summary: 'Watch a task by WebSocket',
      details: `After ${WINDOW} outputs no others come until the text 'more' is sent; at the end the rest comes in one.`,
      access: 'tasks:read',
      query: z.object({ after: z.string().optional().describe('The cursor to resume from.') }),
      frames: { down: WatchEvent },
      errors: READ_ERRORS,
    }),
    async (c) => {
      const network = networkOf(c.env)
      const { id } = fromJson(await readTask(network, c.get('principal'), c.req.param('id'), 0))
      const after = encodeURIComponent(c.req.valid('query').after ?? '')
      return network.room(id).open(`window=${WINDOW}&after=${after}`)
    },
  )

function readTask(network: Network, { address }: Principal, task: string, waitMs: number): Promise<Json<TaskView>> {
  const { id, cell } = known(network, task)
  return network.line(cell).read(address, id, waitMs)
}

function known({ isCell }: Network, id: string): { id: string; cell: string } {
  const parsed = parseTaskId(id)
  if (!parsed || !isCell(parsed.cell)) throw new DomainError('task_not_found')
  return { id, cell: parsed.cell }
}
