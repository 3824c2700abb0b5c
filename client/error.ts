import { ERRORS, type ErrorCode, type Problem } from '#core/errors.ts'
import type { LaneDemand } from '#core/lane.ts'
import type { TaskView } from '#core/protocol/task.ts'

const OWN = {
  price_too_high: ['The edge asks for more than your wallet may sign for', 'Raise its maxPerCall, or lower maxPrice.'],
  not_signed: ['What the edge hands out is not signed by the provider', 'Ask its operator why. Nothing was done.'],
  not_sealable: ['Nothing can be sealed to this provider', 'Name one whose agent publishes a key of its own.'],
  unreachable: ['The edge does not answer', 'Check its address and your connection, then try again.'],
  timed_out: ['The edge did not answer in time', 'Try again, or allow more time.'],
  not_understood: ['The answer is not one of a DAICN edge', 'Check the address: another program may listen there.'],
} as const

/** The edge's stable codes, and some for when there is no answer of an edge. A newer edge may know more. */
export type DaicnCode = ErrorCode | keyof typeof OWN | (string & {})

type Told = { code: DaicnCode } & Omit<Problem, 'type' | 'code'>
type Details = { task?: TaskView; cause?: unknown; requestId?: string; retryAfterMs?: number }

/** Whatever went wrong between a requester and the network: branch on `code`, show `message` and `hint`. */
export class DaicnError extends Error {
  readonly code: DaicnCode
  /** HTTP status, 0 without an answer. */
  readonly status: number
  /** What to do about it. */
  readonly hint: string
  /** JSON pointer to the field of the body that is wrong. */
  readonly pointer: string | undefined
  /** Names the call to the edge's operator. */
  readonly requestId: string | undefined
  /** The edge asks to wait so long before the next try. */
  readonly retryAfterMs: number | undefined
  /** What must be signed before the call can be made; a wallet does so. */
  readonly lane: LaneDemand | undefined
  /** The task that did not succeed. */
  readonly task: TaskView | undefined

  constructor(problem: Told, more: Details = {}) {
    super(problem.detail === undefined ? problem.title : `${problem.title}: ${problem.detail}`, { cause: more.cause })
    this.name = 'DaicnError'
    this.code = problem.code
    this.status = problem.status
    this.hint = problem.hint
    this.pointer = problem.pointer
    this.lane = problem.lane
    this.requestId = more.requestId
    this.retryAfterMs = more.retryAfterMs
    this.task = more.task
  }

  /** The same as plain data, as `JSON.stringify` takes it. */
  toJSON() {
    const { code, status, message, hint, pointer, requestId } = this
    return { code, status, message, hint, pointer, requestId }
  }
}

/** Without an answer of an edge. */
export function missing(code: keyof typeof OWN, detail: string, cause?: unknown, status = 0): DaicnError {
  const [title, hint] = OWN[code]
  return new DaicnError({ code, status, title, hint, detail }, { cause })
}

/** The edge's refusal, from its answer. */
export async function refusal(response: Response): Promise<DaicnError> {
  const problem = (await response.json().catch(() => ({}))) as Partial<Problem & { requestId: string }>
  const { code, title, hint, requestId } = problem
  const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN)
  if (code === undefined || title === undefined || hint === undefined) {
    // A proxy in front of an edge that is down answers by itself.
    const isDown = response.status >= 502 && response.status <= 504
    return missing(isDown ? 'unreachable' : 'not_understood', `HTTP ${response.status}`, undefined, response.status)
  }
  return new DaicnError(
    { ...problem, code, title, hint, status: response.status },
    { ...(requestId !== undefined && { requestId }), ...(retryAfter >= 0 && { retryAfterMs: retryAfter * 1000 }) },
  )
}

/** A task that ended in any other way than by success. */
export function unsuccessful(task: TaskView): DaicnError {
  const code =
    task.status === 'cancelled' ? 'task_cancelled' : task.status === 'expired' ? 'task_expired' : 'task_failed'
  const [status, title, hint] = ERRORS[code]
  const detail = code === 'task_failed' && task.error ? `${task.error.code}: ${task.error.message}` : `task ${task.id}`
  return new DaicnError({ code, status, title, hint, detail }, { task })
}
