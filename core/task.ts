/**
 * The life of a task: queued -> leased -> running -> succeeded | failed | cancelled | expired, in numbered attempts.
 * `transition` is pure: a task and an event give the next task and what must happen because of it, or why the event is refused.
 */
import type { Variant } from './capability.ts'
import type { Address, Kind, Preference, Region, TaskError, Usage } from './protocol.ts'

export type TaskSpec = {
  id: string
  seq: number
  requester: Address
  /** Which purse pays; see core/purse.ts. */
  purse: string
  kind: Kind
  model: string
  variant: Variant | null
  input: Record<string, unknown>
  /** Size of the input as JSON. */
  bytes: number
  /** The most to pay for a unit (base units), and the most units: their product is held. */
  bid: bigint
  maxUnits: number
  preference: Preference
  minReputation: number
  minContext: number
  region: Region | null
  exclude: Address[]
  createdAt: number
  deadline: number
  maxAttempts: number
  stream: boolean
  /** The endpoint of its requester that is told of its end. */
  webhook?: string
}

type AttemptState =
  | { is: 'granted' }
  | { is: 'started'; at: number }
  | { is: 'succeeded'; at: number }
  | { is: 'failed'; at: number; error: TaskError }
  | { is: 'lost'; at: number }
  | { is: 'superseded'; at: number }

export type Attempt = { number: number; provider: Address; ask: bigint; grantedAt: number; state: AttemptState }

type TaskState =
  | { is: 'queued' }
  | { is: 'leased'; attempt: number }
  | { is: 'running'; attempt: number }
  | {
      is: 'succeeded'
      at: number
      attempt: number
      output: Record<string, unknown>
      usage: Usage
      units: number
      price: bigint
    }
  | { is: 'failed'; at: number; error: TaskError }
  | { is: 'cancelled'; at: number }
  | { is: 'expired'; at: number }

export type Task = { spec: TaskSpec; attempts: readonly Attempt[]; state: TaskState }

export type TaskEvent =
  | { type: 'granted'; provider: Address; ask: bigint }
  | { type: 'started'; attempt: number }
  | { type: 'succeeded'; attempt: number; output: Record<string, unknown>; usage: Usage; units: number }
  | { type: 'failed'; attempt: number; error: TaskError }
  /** Given back by its provider unharmed; does not count against maxAttempts. */
  | { type: 'returned'; attempt: number }
  | { type: 'lost'; attempt: number }
  | { type: 'cancelled' }
  | { type: 'expired' }

export type Effect =
  | { type: 'queue' }
  /** The attempt is over; its provider must be told to stop when it still works on it. */
  | { type: 'release'; provider: Address; attempt: number; revoke: boolean }
  | { type: 'capture'; provider: Address; price: bigint }
  | { type: 'score'; provider: Address; outcome: 'success' | 'failure' }
  | { type: 'end' }

/** Why an event is refused. `already_accepted` answers a repeated result: the agent has nothing left to do. */
export type Refusal = 'already_accepted' | 'task_finished' | 'attempt_over' | 'unknown_attempt'

type Transition = { task: Task; effects: Effect[] } | { refused: Refusal }

export const newTask = (spec: TaskSpec): Task => ({ spec, attempts: [], state: { is: 'queued' } })

export const held = (spec: TaskSpec): bigint => spec.bid * BigInt(spec.maxUnits)

/** The number of the attempt that holds the lease, 0 when none does. */
export function currentAttempt({ state }: Task): number {
  return state.is === 'leased' || state.is === 'running' ? state.attempt : 0
}

export function isOver({ state }: Task): boolean {
  return state.is !== 'queued' && state.is !== 'leased' && state.is !== 'running'
}

/** Attempts that count against maxAttempts. */
export function triesOf(task: Task): number {
  return task.attempts.filter(({ state }) => state.is === 'failed' || state.is === 'lost').length
}

/** Throws when the caller breaks the machine's own rules, such as granting a task that is not queued. */
export function transition(task: Task, event: TaskEvent, now: number): Transition {
  switch (event.type) {
    case 'granted':
      return grant(task, event, now)
    case 'started':
      return start(task, event.attempt, now)
    case 'succeeded':
      return succeed(task, event, now)
    case 'failed':
      return endAttempt(task, event.attempt, { is: 'failed', at: now, error: event.error }, now)
    case 'lost':
      return endAttempt(task, event.attempt, { is: 'lost', at: now }, now)
    case 'returned':
      return endAttempt(task, event.attempt, { is: 'superseded', at: now }, now)
    case 'cancelled':
      return stop(task, { is: 'cancelled', at: now }, now)
    case 'expired':
      return stop(task, { is: 'expired', at: now }, now)
  }
}

function grant(task: Task, { provider, ask }: { provider: Address; ask: bigint }, now: number): Transition {
  if (task.state.is !== 'queued') throw new Error(`task ${task.spec.id} is ${task.state.is}, not queued`)
  const number = task.attempts.length + 1
  const attempt: Attempt = { number, provider, ask, grantedAt: now, state: { is: 'granted' } }
  return {
    task: { ...task, attempts: [...task.attempts, attempt], state: { is: 'leased', attempt: number } },
    effects: [],
  }
}

function start(task: Task, attempt: number, now: number): Transition {
  if (task.state.is !== 'leased' || task.state.attempt !== attempt) return refuse(task, attempt)
  return {
    task: { ...withAttempt(task, attempt, { is: 'started', at: now }), state: { is: 'running', attempt } },
    effects: [],
  }
}

/** Accepted from the attempt that holds the lease, or late from a lost one while the task is open. */
function succeed(task: Task, event: Extract<TaskEvent, { type: 'succeeded' }>, now: number): Transition {
  const attempt = task.attempts[event.attempt - 1]
  const current = currentAttempt(task)
  if (!attempt || isOver(task) || (event.attempt !== current && attempt.state.is !== 'lost')) {
    return refuse(task, event.attempt)
  }
  const { provider } = attempt
  const { output, usage, units } = event
  const price = attempt.ask * BigInt(units)
  const effects: Effect[] = [{ type: 'capture', provider, price }]
  let next = withAttempt(task, event.attempt, { is: 'succeeded', at: now })
  if (current !== 0) {
    const late = current !== event.attempt
    if (late) next = withAttempt(next, current, { is: 'superseded', at: now })
    effects.push({ type: 'release', provider: task.attempts[current - 1]!.provider, attempt: current, revoke: late })
  }
  effects.push({ type: 'score', provider, outcome: 'success' })
  // A failure counts only once another provider has shown that the task could be done: a poison task harms nobody.
  const failed = new Set(
    next.attempts.filter(({ state }) => state.is === 'failed' || state.is === 'lost').map((a) => a.provider),
  )
  failed.delete(provider)
  for (const other of failed) effects.push({ type: 'score', provider: other, outcome: 'failure' })
  effects.push({ type: 'end' })
  return {
    task: { ...next, state: { is: 'succeeded', at: now, attempt: event.attempt, output, usage, units, price } },
    effects,
  }
}

/** Ends the attempt that holds the lease without a result: back to the queue, or the end of the task. */
function endAttempt(task: Task, number: number, state: AttemptState, now: number): Transition {
  const attempt = task.attempts[number - 1]
  if (!attempt || currentAttempt(task) !== number) return refuse(task, number)
  const ended = withAttempt(task, number, state)
  const release: Effect = {
    type: 'release',
    provider: attempt.provider,
    attempt: number,
    revoke: state.is === 'lost',
  }
  if (triesOf(ended) < task.spec.maxAttempts) {
    return { task: { ...ended, state: { is: 'queued' } }, effects: [release, { type: 'queue' }] }
  }
  const error = state.is === 'failed' ? state.error : { code: 'lease_lost', message: 'The provider stopped answering.' }
  return { task: { ...ended, state: { is: 'failed', at: now, error } }, effects: [release, { type: 'end' }] }
}

function stop(task: Task, state: Extract<TaskState, { is: 'cancelled' | 'expired' }>, now: number): Transition {
  if (isOver(task)) return { refused: 'task_finished' }
  const current = currentAttempt(task)
  if (current === 0) return { task: { ...task, state }, effects: [{ type: 'end' }] }
  const { provider } = task.attempts[current - 1]!
  return {
    task: { ...withAttempt(task, current, { is: 'superseded', at: now }), state },
    effects: [{ type: 'release', provider, attempt: current, revoke: true }, { type: 'end' }],
  }
}

function refuse(task: Task, attempt: number): Transition {
  if (task.state.is === 'succeeded' && task.state.attempt === attempt) return { refused: 'already_accepted' }
  if (isOver(task)) return { refused: 'task_finished' }
  return { refused: attempt > 0 && attempt <= task.attempts.length ? 'attempt_over' : 'unknown_attempt' }
}

function withAttempt(task: Task, number: number, state: AttemptState): Task {
  const attempts = task.attempts.slice()
  attempts[number - 1] = { ...attempts[number - 1]!, state }
  return { ...task, attempts }
}
