/** Tasks as they are submitted, shown and watched. */
import * as z from 'zod'
import { Assurance } from '../assurance.ts'
import { bitsOf } from '../capability.ts'
import { ChatPiece } from './chat-piece.ts'
import { Preference } from './quote.ts'
import { Address, Amount, Count, LIMITS, Name, Region, Time } from './values.ts'
import { Kind, Usage } from './work.ts'

export const SubmitTask = z
  .strictObject({
    kind: z.string().describe('llm.chat, text.embed, doc.ocr, image.upscale, wasi.run, container.run or gpu.exec.'),
    model: Name.optional().describe(
      '`name`, or `name@digest` for exactly these weights; none: any model of this kind.',
    ),
    input: z
      .record(z.string(), z.unknown())
      .describe('What the kind takes, or `{ "sha256": "..." }`: a blob of yours with that as JSON.'),
    maxPrice: Amount.optional().describe(
      'The most the task may cost, in tokens; held at submit, and only what was metered is captured.',
    ),
    preference: Preference.default('balanced'),
    requirements: z
      .strictObject({
        minReputation: z.number().min(0).max(1).default(0),
        region: Region.optional(),
        minContext: Count.optional(),
        /** The coarsest quantisation to accept, as in "Q8_0"; a provider that does not name its own has none. */
        minQuantization: z
          .string()
          .refine((name) => bitsOf(name) !== null, 'must name a quantisation such as "Q4_K_M", "FP8" or "BF16"')
          .optional(),
        exclude: z.array(Address).max(64).default([]),
        provider: Address.optional().describe('The one provider that may do it.'),
      })
      .default({ minReputation: 0, exclude: [] }),
    deadlineSeconds: z.int().min(1).max(86_400).default(600),
    maxAttempts: z.int().min(1).max(10).default(3),
    stream: z.boolean().default(false).describe("Keep the output's stream for watchers of GET /v1/tasks/{id}/events."),
    assurance: Assurance.optional().describe('How sure you want to be of the result; none unless told.'),
    webhook: z
      .string()
      .min(1)
      .max(40)
      .optional()
      .describe('Id of the endpoint of POST /v1/webhooks that is told when the task has ended.'),
  })
  .meta({ id: 'SubmitTask' })
export type SubmitTask = z.output<typeof SubmitTask>

/** One task, or many in one request. */
export const SubmitTasks = z.union([SubmitTask, z.array(SubmitTask).min(1).max(LIMITS.batchTasks)])

export const IdempotencyHeaders = z.object({
  'idempotency-key': z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, 'Idempotency-Key must be 1 to 255 visible ASCII characters')
    .optional()
    .describe('Of your choice: a submission sent again with the same key is answered with the same tasks for a day.'),
})

export const WaitQuery = z.object({
  waitSeconds: z
    .string()
    .regex(/^\d{1,9}(\.\d{1,9})?$/, 'must be a number of seconds')
    .transform((seconds) => Math.min(Number(seconds), LIMITS.waitSeconds))
    .optional()
    .describe(`Answer when the tasks have ended, or after this many seconds, at most ${LIMITS.waitSeconds}.`),
})

export const TASK_STATUSES = [
  'queued',
  'leased',
  'running',
  'verifying',
  'succeeded',
  'failed',
  'cancelled',
  'expired',
] as const
export const TaskStatus = z.enum(TASK_STATUSES)
export type TaskStatus = z.output<typeof TaskStatus>

export const isEnded = (status: TaskStatus): boolean =>
  status !== 'queued' && status !== 'leased' && status !== 'running' && status !== 'verifying'

export const TaskError = z.object({ code: z.string(), message: z.string() })
export type TaskError = z.output<typeof TaskError>

/**
 * What one attempt at a task came to, as shown to its requester; `units` and `price` are there when it was paid: for its result,
 * or for what it delivered of a stream before it ended.
 */
export const AttemptView = z.object({
  number: z.int(),
  provider: Address,
  state: z
    .enum(['granted', 'started', 'delivered', 'succeeded', 'refuted', 'failed', 'lost', 'superseded'])
    .describe('Delivered: its result waits for others to agree with. Refuted: others agreed on another result.'),
  grantedAt: Time,
  startedAt: Time.exactOptional(),
  endedAt: Time.exactOptional(),
  error: TaskError.exactOptional(),
  units: z.number().exactOptional(),
  price: Amount.exactOptional(),
})
export type AttemptView = z.output<typeof AttemptView>

/** A task as shown to its requester. */
export const TaskView = z
  .object({
    id: z.string(),
    kind: Kind,
    model: z.string(),
    status: TaskStatus,
    createdAt: Time,
    finishedAt: Time.exactOptional(),
    provider: Address.exactOptional().describe('Who runs it, or ran it.'),
    maxPrice: Amount,
    price: Amount.exactOptional().describe('Tokens captured for it, once it has ended.'),
    units: z.number().exactOptional().describe('What was metered, in the units of its kind.'),
    usage: Usage.exactOptional(),
    assurance: z
      .object({ level: z.enum(['spot', 'quorum']), results: z.int(), agreed: z.int() })
      .exactOptional()
      .describe('Results that came, and how many of them agreed; 0 until it has succeeded.'),
    attempts: z.array(AttemptView),
    output: z.unknown().exactOptional().describe('What the kind gives, when it has succeeded.'),
    error: TaskError.exactOptional(),
  })
  .meta({ id: 'TaskView' })
export type TaskView = z.output<typeof TaskView>

export const TaskViews = z.object({ tasks: z.array(TaskView) })

/**
 * What a watcher of one task is told, in order. The event id of an output is `<attempt>.<index + 1>`, the cursor from which
 * a watcher that lost its connection resumes; the other events repeat the state, so they need none. Pieces that came together are
 * told in one output, which has the index of the last. `offset` is where the delta begins in the task's whole text, in UTF-16 units:
 * a later attempt goes on where the last one ended. `beside` is what came with it beside that text, and `besideOffset` how long all
 * that came before it beside the text is.
 */
export const WatchEvent = z
  .discriminatedUnion('type', [
    z.object({
      type: z.literal('status'),
      status: TaskStatus,
      at: Time,
      attempt: z.int().exactOptional(),
      provider: Address.exactOptional(),
    }),
    z.object({
      type: z.literal('output'),
      attempt: z.int(),
      index: z.int(),
      offset: z.int(),
      delta: z.string(),
      beside: ChatPiece.exactOptional(),
      besideOffset: z.int().exactOptional(),
    }),
    z.object({ type: z.literal('done'), task: TaskView }),
  ])
  .meta({ id: 'WatchEvent' })
export type WatchEvent = z.output<typeof WatchEvent>
