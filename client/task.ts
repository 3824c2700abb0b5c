/** Tasks as a requester writes and reads them, typed by their kind, and all that can be done with one. */
import type * as z from 'zod'
import type { BlobView } from '#core/protocol/blob.ts'
import type { DecisionList } from '#core/protocol/decision.ts'
import type { TaskForecast } from '#core/protocol/forecast.ts'
import type { Quote } from '#core/protocol/quote.ts'
import type { SubmitTask, TaskView, WatchEvent } from '#core/protocol/task.ts'
import type { LIMITS } from '#core/protocol/values.ts'
import type { INPUTS, Kind, OutputOf } from '#core/protocol/work.ts'
import { type Connection, insist } from './edge.ts'
import { DaicnError, unsuccessful } from './error.ts'
import { watch } from './events.ts'
import { sha256 } from './hash.ts'
import { submitPaid } from './wallet.ts'

type InputOf<K extends Kind> = z.input<(typeof INPUTS)[K]>

/** What to submit: core/protocol/task.ts says what each field means and may be. */
export type NewTask<K extends Kind = Kind> = {
  [Each in K]: Omit<z.input<typeof SubmitTask>, 'kind' | 'input'> & { kind: Each; input: InputOf<Each> }
}[K]

/** A task as the edge shows it; it has an output when it has succeeded. */
export type Task<K extends Kind = Kind> = {
  [Each in K]: Omit<TaskView, 'kind' | 'output'> & { kind: Each; output?: OutputOf<Each> }
}[K]

/** A task that has succeeded. */
export type Done<K extends Kind = Kind> = Task<K> & { output: OutputOf<K> }

export type Signal = { signal?: AbortSignal | undefined }

const INPUT_BYTES: (typeof LIMITS)['inputBytes'] = 262_144
const HOLD_SECONDS: (typeof LIMITS)['waitSeconds'] = 25
/** What 100 MiB may take, over and above any other answer. */
const UPLOAD_MS = 270_000
const LEAVE_MS = 10_000
const LEAVE_AT_ONCE = 32
export const pathOf = (id: string) => `/v1/tasks/${encodeURIComponent(id)}`

/** Uploads what is too large for an input; `{ sha256 }` of the answer stands for it in the inputs of this account. */
export async function upload(connection: Connection, content: Uint8Array, { signal }: Signal = {}): Promise<BlobView> {
  return insist(connection, 'PUT', `/v1/blobs/${await sha256(content)}`, { body: content, signal, holdMs: UPLOAD_MS })
}

/** A task as it is sent: an input that is too large for one is uploaded, and referred to. */
async function sent<K extends Kind>(connection: Connection, task: NewTask<K>, signal: Signal): Promise<object> {
  const content = new TextEncoder().encode(JSON.stringify(task.input))
  if (content.length <= INPUT_BYTES) return task
  const { sha256 } = await upload(connection, content, signal)
  return { ...task, input: { sha256 } }
}

/** Tried again under one idempotency key, so that however often it is sent, it is one task. */
export async function submit<K extends Kind>(connection: Connection, task: NewTask<K>, { signal }: Signal = {}) {
  const headers = { 'idempotency-key': crypto.randomUUID() }
  return submitPaid<Task<K>>(connection, await sent(connection, task, { signal }), headers, signal)
}

/** What a task would cost and wait, and who could run it or why nobody can; holds and changes nothing. */
export const quote = async <K extends Kind>(connection: Connection, task: NewTask<K>, { signal }: Signal = {}) =>
  insist<Quote>(connection, 'POST', '/v1/quote', { body: await sent(connection, task, { signal }), signal })

export const read = (connection: Connection, id: string, { signal }: Signal = {}) =>
  insist<Task>(connection, 'GET', pathOf(id), { signal })

/** When a task will start and finish, from now on. */
export const forecast = (connection: Connection, id: string, { signal }: Signal = {}) =>
  insist<TaskForecast>(connection, 'GET', `${pathOf(id)}/forecast`, { signal })

/** Why its attempts went to whom they went; of those that were noted. */
export const decisions = async (connection: Connection, id: string, { signal }: Signal = {}) =>
  (await insist<DecisionList>(connection, 'GET', `${pathOf(id)}/decisions`, { signal })).decisions

/** A task once it has ended, or as it is when the edge would hold the answer no longer. */
export const awhile = (connection: Connection, id: string, { signal }: Signal = {}) =>
  insist<Task>(connection, 'GET', `${pathOf(id)}?waitSeconds=${HOLD_SECONDS}`, { signal, holdMs: HOLD_SECONDS * 1000 })

/** Waits until a task has ended, in whatever way. Its deadline bounds this. */
export async function wait(connection: Connection, id: string, options: Signal = {}): Promise<Task> {
  for (;;) {
    const task = await awhile(connection, id, options)
    if (task.finishedAt !== undefined) return task
  }
}

export const cancel = (connection: Connection, id: string, { signal }: Signal = {}) =>
  insist<Task>(connection, 'POST', `${pathOf(id)}/cancel`, { signal })

/** Submits a task and waits for its success. @throws DaicnError when it ends otherwise; aborting cancels it */
export async function run<K extends Kind>(connection: Connection, task: NewTask<K>, { signal }: Signal = {}) {
  const { id } = await begin(connection, task, signal)
  try {
    return succeeded<K>((await wait(connection, id, { signal })) as Task<K>)
  } catch (error) {
    if (!(error instanceof DaicnError && error.task)) await leave(connection, [id])
    throw error
  }
}

/** Submits a task and tells what happens to it until it has ended. Aborting, or leaving the loop early, cancels it. */
export async function* stream<K extends Kind>(
  connection: Connection,
  task: NewTask<K>,
  { signal }: Signal = {},
): AsyncGenerator<WatchEvent> {
  const { id } = await begin(connection, { ...task, stream: true }, signal)
  let ended = false
  try {
    for await (const event of watch(connection, id, signal)) {
      ended = event.type === 'done'
      yield event
    }
  } finally {
    if (!ended) await leave(connection, [id])
  }
}

/** Not broken off by the signal: only the answer names the task that is then to be cancelled. */
async function begin<K extends Kind>(connection: Connection, task: NewTask<K>, signal: AbortSignal | undefined) {
  signal?.throwIfAborted()
  const submitted = await submit(connection, task)
  if (!signal?.aborted) return submitted
  await leave(connection, [submitted.id])
  throw signal.reason
}

/** Cancels what is left of tasks that nobody waits for any more; their deadline ends those that cannot be reached. */
export async function leave(connection: Connection, ids: string[]): Promise<void> {
  const signal = AbortSignal.timeout(LEAVE_MS)
  const left = [...ids]
  const next = async () => {
    for (let id = left.pop(); id !== undefined; id = left.pop())
      await cancel(connection, id, { signal }).catch(() => {})
  }
  await Promise.all(Array.from({ length: LEAVE_AT_ONCE }, next))
}

function succeeded<K extends Kind>(task: Task<K>): Done<K> {
  if (task.status !== 'succeeded') throw unsuccessful(task as TaskView)
  return task as Done<K>
}
