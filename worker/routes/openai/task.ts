/** The tasks behind the OpenAI routes. */
import type * as z from 'zod'
import { DomainError, SUBMIT_ERRORS } from '#core/errors.ts'
import type { SubmitHeaders } from '#core/lane.ts'
import { isEnded, SubmitTask, type TaskView } from '#core/protocol/task.ts'
import { type Address, LIMITS } from '#core/protocol/values.ts'
import { type TaskRequest, toRequest } from '#core/request.ts'
import { parseTaskId } from '#core/task-id.ts'
import { type Principal, sha256 } from '../../auth.ts'
import { storeBlob } from '../../blobs.ts'
import type { Network } from '../../env.ts'
import { fromJson } from '../../outcome.ts'
import { LANE_ERRORS } from '../../self-custody.ts'
import { submitRequests } from '../../submission.ts'

const UPLOAD_KEPT_MS = 3_600_000

/** How a call that waits for its tasks can be refused. */
export const WAIT_ERRORS = [
  ...SUBMIT_ERRORS,
  ...LANE_ERRORS,
  'task_not_found',
  'task_failed',
  'upstream_refused',
  'task_expired',
  'task_cancelled',
  'price_below_unit',
  'blob_quota_exceeded',
  'not_comparable',
] as const

/** Checked and priced. */
export const toRequests = (tasks: z.input<typeof SubmitTask>[]): TaskRequest[] =>
  tasks.map((task, i) => toRequest(SubmitTask.parse(task), `/${i}`))

/** The same, with what is too large for the input of a task uploaded for the account, as it would have to do itself. */
async function requestsOf(
  network: Network,
  owner: Address,
  tasks: z.input<typeof SubmitTask>[],
): Promise<TaskRequest[]> {
  try {
    return toRequests(tasks)
  } catch (error) {
    if (!(error instanceof DomainError && error.code === 'body_too_large')) throw error
    return await Promise.all(tasks.map((task, i) => withUpload(network, owner, SubmitTask.parse(task), `/${i}`)))
  }
}

/** What is uploaded is kept for as long as the task may run, and a little longer. */
async function withUpload(network: Network, owner: Address, task: SubmitTask, pointer: string): Promise<TaskRequest> {
  const text = JSON.stringify(task.input)
  const content = new TextEncoder().encode(text)
  const bytes = content.byteLength
  if (bytes <= LIMITS.inputBytes) return toRequest(task, pointer)
  const input = { sha256: await sha256(text) }
  // Checked before anything is kept.
  const request = toRequest({ ...task, input }, pointer, task.input)
  const keptUntil = Date.now() + request.deadlineMs + UPLOAD_KEPT_MS
  await storeBlob(
    network,
    owner,
    { ...input, bytes, contentType: 'application/json', keptUntil },
    content.slice().buffer,
  )
  return request
}

/** Submits the tasks of a request, all or none. */
export async function submitAll(
  network: Network,
  principal: Principal,
  tasks: z.input<typeof SubmitTask>[],
  headers: SubmitHeaders,
): Promise<TaskView[]> {
  const requests = await requestsOf(network, principal.address, tasks)
  return fromJson(await submitRequests(network, principal, requests, headers, 0))
}

/** Waits until all tasks have succeeded; their deadlines bound this. When one has not, the others are cancelled. */
export async function allSucceeded(network: Network, { address }: Principal, tasks: TaskView[]): Promise<TaskView[]> {
  try {
    return await Promise.all(tasks.map(async (task) => succeeded(await ended(network, address, task))))
  } catch (error) {
    await Promise.all(tasks.map((task) => lineOf(network, task).cancel(address, task.id)))
    throw error
  }
}

async function ended(network: Network, address: Principal['address'], task: TaskView): Promise<TaskView> {
  let view = task
  while (!isEnded(view.status)) {
    view = fromJson(await lineOf(network, task).read(address, task.id, LIMITS.waitSeconds * 1000))
  }
  return view
}

export const lineOf = (network: Network, { id }: TaskView) => network.line(parseTaskId(id)!.cell)

/** @throws DomainError when the task ended in any other way */
export function succeeded(task: TaskView): TaskView {
  const detail = task.error ? `${task.error.code}: ${task.error.message}` : `task ${task.id}`
  if (task.status === 'failed')
    throw new DomainError(task.error?.code === REFUSED ? 'upstream_refused' : 'task_failed', { detail })
  if (task.status === 'expired') throw new DomainError('task_expired', { detail })
  if (task.status === 'cancelled') throw new DomainError('task_cancelled', { detail })
  return task
}

/** By this code an agent says that its model server found the request wrong; see agent/runners/openai-upstream.ts. */
const REFUSED = 'upstream_refused'
