/** Files and batches as in OpenAI's API: a file of requests, one a line, done within a day, and files of their answers. */
import * as z from 'zod'
import { DomainError } from './errors.ts'
import { isTooDeep, pointerTo } from './json.ts'
import {
  ChatRequest,
  CompletionRequest,
  chatCompletion,
  chatTask,
  completionTasks,
  EmbeddingsRequest,
  embeddingList,
  embeddingTasks,
  textCompletion,
} from './openai.ts'
import { type OpenAiError, toOpenAiError } from './openai-error.ts'
import { SubmitTask, type TaskView } from './protocol/task.ts'
import { type TaskRequest, toRequest } from './request.ts'

export const FILE_LIMITS = {
  /** Of one file. */
  bytes: 100 * 1024 * 1024,
  /** Of all files of an account. */
  accountBytes: 1024 * 1024 * 1024,
  batchLines: 50_000,
  lineBytes: 1024 * 1024,
  batchMs: 24 * 3_600_000,
  /** A file is kept in pages; every page of an uploaded one but its last has so many bytes. */
  pageBytes: 4 * 1024 * 1024,
} as const

/** Names whose order is that of their numbers. */
export const pageName = (...numbers: number[]): string =>
  numbers.map((number) => String(number).padStart(6, '0')).join('-')

export const ENDPOINTS = ['/v1/chat/completions', '/v1/completions', '/v1/embeddings'] as const
export const Endpoint = z.enum(ENDPOINTS)
export type Endpoint = z.output<typeof Endpoint>

export const FileView = z
  .object({
    id: z.string(),
    object: z.literal('file'),
    bytes: z.int(),
    created_at: z.int(),
    filename: z.string(),
    purpose: z.enum(['batch', 'batch_output']),
    status: z.literal('processed'),
  })
  .meta({ id: 'File' })
export type FileView = z.output<typeof FileView>

/** The fields of an upload's form. */
export const FileForm = z.object({
  file: z.file().describe('JSON Lines, a request each, up to 100 MiB.'),
  purpose: z.literal('batch'),
})

export const FileDeleted = z.object({ id: z.string(), object: z.literal('file'), deleted: z.literal(true) })

/** Which part of a list. */
export const PageQuery = z.object({
  after: z.string().optional().describe('The id of the last one that is not wanted any more.'),
  limit: z
    .string()
    .regex(/^([1-9]\d{0,3}|10000)$/, 'limit must be a number from 1 to 10,000')
    .transform(Number)
    .optional()
    .describe('At most so many; 20 when left out.'),
})
export type PageQuery = z.output<typeof PageQuery>

const listOf = <T extends z.ZodType>(item: T) =>
  z.object({
    object: z.literal('list'),
    data: z.array(item),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
    has_more: z.boolean(),
  })
export const FileList = listOf(FileView).meta({ id: 'FileList' })

export const CreateBatch = z
  .strictObject({
    input_file_id: z.string().max(100),
    endpoint: Endpoint,
    completion_window: z.literal('24h'),
    metadata: z.record(z.string().max(64), z.string().max(512)).optional(),
  })
  .meta({ id: 'CreateBatch' })
export type CreateBatch = z.output<typeof CreateBatch>

const LineError = z.object({
  code: z.string(),
  message: z.string(),
  param: z.string().nullable(),
  line: z.int().nullable(),
})
export type LineError = z.output<typeof LineError>
const Time = z.int().nullable()

export const BatchView = z
  .object({
    id: z.string(),
    object: z.literal('batch'),
    endpoint: Endpoint,
    errors: z.object({ object: z.literal('list'), data: z.array(LineError) }).nullable(),
    input_file_id: z.string(),
    completion_window: z.literal('24h'),
    status: z.enum([
      'validating',
      'failed',
      'in_progress',
      'finalizing',
      'completed',
      'expired',
      'cancelling',
      'cancelled',
    ]),
    output_file_id: z.string().nullable(),
    error_file_id: z.string().nullable(),
    created_at: z.int(),
    in_progress_at: Time,
    expires_at: z.int(),
    completed_at: Time,
    failed_at: Time,
    expired_at: Time,
    cancelling_at: Time,
    cancelled_at: Time,
    request_counts: z.object({ total: z.int(), completed: z.int(), failed: z.int() }),
    metadata: z.record(z.string(), z.string()).nullable(),
  })
  .meta({ id: 'Batch' })
export type BatchView = z.output<typeof BatchView>
export const BatchList = listOf(BatchView).meta({ id: 'BatchList' })

/* Lines */

const Line = z.strictObject({
  custom_id: z.string().min(1).max(256),
  method: z.literal('POST'),
  url: Endpoint,
  body: z.record(z.string(), z.unknown()),
})
export type Line = z.output<typeof Line>

/** A line of the input. @throws DomainError malformed_json, invalid_request: the file is no batch for this endpoint */
export function parseLine(text: string, endpoint: Endpoint): Line {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new DomainError('malformed_json', { detail: 'the line is not JSON' })
  }
  if (isTooDeep(value)) throw new DomainError('invalid_request', { detail: 'nested too deep' })
  const parsed = Line.safeParse(value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new DomainError('invalid_request', { detail: issue!.message, pointer: pointerTo(issue!) })
  }
  if (parsed.data.url !== endpoint)
    throw new DomainError('invalid_request', { detail: `the batch is for ${endpoint}`, pointer: '/url' })
  return parsed.data
}

export function lineError(error: DomainError, line: number): LineError {
  const { error: shown } = toOpenAiError(error, 'batches')
  return { code: shown.code, message: shown.message, param: shown.param, line }
}

/** A request as the one task that it becomes. @throws DomainError */
export function lineRequest({ url, body }: Line, deadlineSeconds: number): TaskRequest {
  const [order, ...more] = ordersOf(url, body)
  if (!order || more.length > 0)
    throw new DomainError('invalid_request', { detail: 'a line of a batch is one prompt, or at most 64 texts' })
  return toRequest(SubmitTask.parse({ ...order, deadlineSeconds, stream: false }))
}

function ordersOf(url: Endpoint, body: unknown): z.input<typeof SubmitTask>[] {
  switch (url) {
    case '/v1/chat/completions': {
      const chat = parse(ChatRequest, body)
      if (chat.stream) throw new DomainError('invalid_request', { detail: 'a batch cannot stream', pointer: '/stream' })
      return [chatTask(chat)]
    }
    case '/v1/completions':
      return completionTasks(parse(CompletionRequest, body))
    case '/v1/embeddings':
      return embeddingTasks(parse(EmbeddingsRequest, body))
  }
}

function parse<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new DomainError('invalid_request', { detail: issue!.message, pointer: pointerTo(issue!) })
}

/** What a request's output can hardly exceed, in bytes: results are written in pages that must fit memory. */
export function outputEstimate({ kind, input, maxUnits }: TaskRequest): number {
  return kind === 'text.embed' ? (input.texts as string[]).length * 16_384 : 1024 + maxUnits * 8
}

/** A line of the output: the answer that the route itself would have given. */
export function answerLine(id: string, line: Line, task: TaskView, encode: (floats: number[]) => string): string {
  return outcomeLine(id, line, { status_code: 200, request_id: task.id, body: answerOf(line, task, encode) })
}

function answerOf({ url, body }: Line, task: TaskView, encode: (floats: number[]) => string): object {
  switch (url) {
    case '/v1/chat/completions':
      return chatCompletion(task)
    case '/v1/completions':
      return textCompletion(parse(CompletionRequest, body), [task])
    case '/v1/embeddings':
      return embeddingList([task], body.encoding_format === 'base64' ? encode : (floats) => floats)
  }
}

/** A line of the error file: the refusal that the route itself would have given. */
export function refusalLine(id: string, line: Line, error: DomainError): string {
  const { status, error: body } = toOpenAiError(error, line.url.slice('/v1/'.length))
  return outcomeLine(id, line, { status_code: status, request_id: id, body: { error: body } })
}

/** A line that was given up with its batch. */
export function givenUpLine(id: string, { custom_id }: Line, code: 'batch_cancelled' | 'batch_expired'): string {
  const message = code === 'batch_expired' ? 'The batch was over before this request.' : 'The batch was cancelled.'
  return `${JSON.stringify({ id, custom_id, response: null, error: { code, message } })}\n`
}

type Response = { status_code: number; request_id: string; body: object | { error: OpenAiError } }
const outcomeLine = (id: string, { custom_id }: Line, response: Response): string =>
  `${JSON.stringify({ id, custom_id, response, error: null })}\n`

/** The ended task as an error, or null when it has succeeded. */
export function faultOf({ id, status, error }: TaskView): DomainError | null {
  const detail = error ? `${error.code}: ${error.message}` : `task ${id}`
  if (status === 'failed')
    return new DomainError(error?.code === 'upstream_refused' ? 'upstream_refused' : 'task_failed', { detail })
  if (status === 'expired') return new DomainError('task_expired', { detail })
  if (status === 'cancelled') return new DomainError('task_cancelled', { detail })
  return null
}
