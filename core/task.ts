/**
 * The life of a task: queued -> leased -> running -> succeeded | failed | cancelled | expired, in numbered attempts.
 * When an attempt at a stream ends without a result, the task is sealed before anything else: what was delivered until then is
 * settled, paid to that attempt, and handed to the next one to go on from.
 * A task with an assurance goes back to the queue with the results it has, until enough of them agree (core/assurance.ts).
 * One whose attempt is late may have a second attempt beside it (core/speculation.ts): each has a lease of its own, the first result
 * that is accepted ends both, and it alone is paid.
 * `transition` is pure: a task and an event give the next task and what must happen because of it, or why the event is refused.
 */
import { type Checked, type Delivery, judge, mostResults } from './assurance.ts'
import { currentAttempt, deliverersOf, leasedAttempts, mayHaveSecond, triesOf } from './attempts.ts'
import type { Variant } from './capability.ts'
import { addTexts, lengthOf } from './chat-joint.ts'
import type { DecisionView } from './protocol/decision.ts'
import type { Signed } from './protocol/lease.ts'
import type { Preference } from './protocol/quote.ts'
import { isEnded, type TaskError, type TaskStatus } from './protocol/task.ts'
import type { Address, Region } from './protocol/values.ts'
import type { Kind, Prefix, Usage } from './protocol/work.ts'
import { type Outcome, outcomesOf } from './reputation.ts'

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
  /** Of the input, for the receipt; none in tasks of before there were receipts. */
  inputHash?: string
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
  /** The one provider that may do it, where its requester names one. */
  only?: Address
  createdAt: number
  deadline: number
  maxAttempts: number
  stream: boolean
  /** The endpoint of its requester that is told of its end. */
  webhook?: string
  assurance?: Checked
  /** The lot of an assured task, in 0..1; nobody is told. Without one it is checked. */
  lot?: number
  /** Of the operator's own tasks those of which the right output is known; nobody is told. See core/canary.ts. */
  canary?: { id: string; output: Record<string, unknown> }
}

type AttemptState =
  | { is: 'granted' }
  | { is: 'started'; at: number }
  /** Its result waits for others to agree with. */
  | { is: 'delivered'; at: number }
  | { is: 'succeeded'; at: number }
  /** Others agreed on another result. */
  | { is: 'refuted'; at: number }
  | { is: 'failed'; at: number; error: TaskError }
  | { is: 'lost'; at: number }
  | { is: 'superseded'; at: number }

/** `units`: what it was paid for, each at its ask. `digest`: of the model that was offered, if it named one. `decision`: why, if noted. */
export type Attempt = {
  number: number
  provider: Address
  ask: bigint
  digest?: string
  decision?: DecisionView
  grantedAt: number
  units: number
  state: AttemptState
}

/** What a task becomes when an attempt at it ends without a result. */
type Unfinished =
  | { is: 'queued' }
  | { is: 'failed'; at: number; error: TaskError }
  | { is: 'cancelled'; at: number }
  | { is: 'expired'; at: number }

type TaskState =
  | Unfinished
  /** `beside`: the earlier attempt that still holds its lease too. */
  | { is: 'leased'; attempt: number; beside?: number }
  | { is: 'running'; attempt: number; beside?: number }
  /** A stream's attempt is over, and what it delivered is not known yet: nobody may go on, nor the task end, before that. */
  | { is: 'sealing'; attempt: number; next: Unfinished }
  | {
      is: 'succeeded'
      at: number
      attempt: number
      output: Record<string, unknown>
      usage: Usage
      units: number
      price: bigint
      signed?: Signed
    }

/**
 * `prefix`: what sealed attempts delivered together, none when that is nothing. `deliveries`: the results of a task with an
 * assurance, in the order in which they came, none before there is one.
 */
export type Task = {
  spec: TaskSpec
  attempts: readonly Attempt[]
  prefix?: Prefix
  deliveries?: readonly Delivery[]
  state: TaskState
}

export type TaskEvent =
  | { type: 'granted'; provider: Address; ask: bigint; digest?: string; decision?: DecisionView }
  | { type: 'started'; attempt: number }
  /** `output` and `usage` are those of the whole task, `units` and `devices` those of this attempt; `drawn` for a spot check. */
  | {
      type: 'succeeded'
      attempt: number
      output: Record<string, unknown>
      usage: Usage
      units: number
      devices?: string[]
      signed?: Signed
      drawn?: boolean
    }
  | { type: 'failed'; attempt: number; error: TaskError }
  /** Given back by its provider unharmed; does not count against maxAttempts. */
  | { type: 'returned'; attempt: number }
  | { type: 'lost'; attempt: number }
  /** What the attempt that is being sealed delivered. */
  | { type: 'sealed'; attempt: number; delivered: Prefix }
  | { type: 'cancelled' }
  | { type: 'expired' }

export type Effect =
  | { type: 'queue' }
  /** Its room must be asked what was delivered, and to take no more of it. */
  | { type: 'seal' }
  /** The attempt is over; its provider must be told to stop when it still works on it. */
  | { type: 'release'; provider: Address; attempt: number; revoke: boolean }
  /** `devices`: those that made what is paid for, where that is known. */
  | { type: 'capture'; provider: Address; price: bigint; devices?: string[] }
  | { type: 'score'; provider: Address; outcome: Outcome }
  | { type: 'end' }

/** Why an event is refused. `already_accepted` answers a repeated result: the agent has nothing left to do. */
export type Refusal = 'already_accepted' | 'task_finished' | 'attempt_over' | 'unknown_attempt'

type Transition = { task: Task; effects: Effect[] } | { refused: Refusal }

export const newTask = (spec: TaskSpec): Task => ({ spec, attempts: [], state: { is: 'queued' } })

/** What it takes of the memory that a market has for open tasks. */
export const bytesOf = ({ spec, prefix, deliveries }: Task): number =>
  spec.bytes +
  2 * (prefix ? prefix.text.length + lengthOf(prefix.beside ?? {}) : 0) +
  (deliveries ? JSON.stringify(deliveries).length : 0)

/** The most a task can cost: that of each of its results. */
export const held = ({ bid, maxUnits, assurance }: Pick<TaskSpec, 'bid' | 'maxUnits' | 'assurance'>): bigint =>
  bid * BigInt(maxUnits) * BigInt(mostResults(assurance))

/** What the task's attempts were paid together. */
export const paid = ({ attempts }: Task): bigint =>
  attempts.reduce((sum, { ask, units }) => sum + ask * BigInt(units), 0n)

export const isOver = (task: Task): boolean => isEnded(statusOf(task))

/** How a task stands as others see it: one that is being sealed still runs, and one with results is being verified until it ends. */
export function statusOf({ state, deliveries }: Pick<Task, 'state' | 'deliveries'>): TaskStatus {
  const status = state.is === 'sealing' ? 'running' : state.is
  return deliveries && !isEnded(status) ? 'verifying' : status
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
    case 'sealed':
      return seal(task, event.attempt, event.delivered)
    case 'cancelled':
      return stop(task, { is: 'cancelled', at: now }, now)
    case 'expired':
      return stop(task, { is: 'expired', at: now }, now)
  }
}

function grant(
  task: Task,
  { provider, ask, digest, decision }: Extract<TaskEvent, { type: 'granted' }>,
  now: number,
): Transition {
  const { state } = task
  if (state.is !== 'queued' && !mayHaveSecond(task)) throw new Error(`task ${task.spec.id} is ${state.is}, not queued`)
  const number = task.attempts.length + 1
  const offered = { provider, ask, ...(digest !== undefined && { digest }), ...(decision && { decision }) }
  const attempt: Attempt = { number, ...offered, grantedAt: now, units: 0, state: { is: 'granted' } }
  const leased: TaskState =
    state.is === 'leased' || state.is === 'running'
      ? { is: state.is, attempt: number, beside: state.attempt }
      : { is: 'leased', attempt: number }
  return { task: { ...task, attempts: [...task.attempts, attempt], state: leased }, effects: [] }
}

function start(task: Task, number: number, now: number): Transition {
  const { state, attempts } = task
  const isLeased = state.is === 'leased' || state.is === 'running'
  if (!isLeased || !leasedAttempts(task).includes(number) || attempts[number - 1]!.state.is !== 'granted') {
    return refuse(task, number)
  }
  return {
    task: { ...withAttempt(task, number, { state: { is: 'started', at: now } }), state: { ...state, is: 'running' } },
    effects: [],
  }
}

/** Accepted from an attempt that holds a lease, or late from a lost one while the task is open and no stream. */
function succeed(task: Task, event: Extract<TaskEvent, { type: 'succeeded' }>, now: number): Transition {
  const attempt = task.attempts[event.attempt - 1]
  const leased = leasedAttempts(task)
  const late = !leased.includes(event.attempt)
  if (!attempt || isOver(task) || (late && (attempt.state.is !== 'lost' || task.spec.stream))) {
    return refuse(task, event.attempt)
  }
  if (task.spec.assurance) return deliver(task, attempt, event, now)
  const { output, usage, signed } = event
  const effects: Effect[] = [capture(attempt, event)]
  let next = withAttempt(task, event.attempt, { units: event.units, state: { is: 'succeeded', at: now } })
  for (const number of leased) {
    const revoke = number !== event.attempt
    if (revoke) next = withAttempt(next, number, { state: { is: 'superseded', at: now } })
    effects.push({ type: 'release', provider: task.attempts[number - 1]!.provider, attempt: number, revoke })
  }
  for (const [provider, outcome] of outcomesOf(next.attempts.map(standing)))
    effects.push({ type: 'score', provider, outcome })
  effects.push({ type: 'end' })
  const units = next.attempts.reduce((sum, attempt) => sum + attempt.units, 0)
  const state: TaskState = { is: 'succeeded', at: now, attempt: event.attempt, output, usage, units, price: paid(next) }
  return { task: { ...next, state: signed ? { ...state, signed } : state }, effects }
}

/** Takes a result of a task with an assurance: it is the last that was needed, or others are asked. */
function deliver(
  task: Task,
  attempt: Attempt,
  event: Extract<TaskEvent, { type: 'succeeded' }>,
  now: number,
): Transition {
  const { spec, deliveries = [] } = task
  const { number, provider } = attempt
  if (deliverersOf(task).includes(provider)) return refuse(task, number)
  const { type: _, drawn = false, ...delivery } = event
  const all = [...deliveries, delivery]
  const verdict = judge(spec.assurance!, spec.kind, all, drawn, spec.canary?.output)
  const current = currentAttempt(task)
  const holder = task.attempts[current - 1]?.provider
  let next: Task = { ...withAttempt(task, number, { state: { is: 'delivered', at: now } }), deliveries: all }
  const effects: Effect[] = []
  // Another attempt goes on while a late result is not enough, unless the two are by one provider.
  const stays = current !== 0 && current !== number && verdict.is === 'open' && holder !== provider
  if (current !== 0 && !stays) {
    if (current !== number) next = withAttempt(next, current, { state: { is: 'superseded', at: now } })
    effects.push({ type: 'release', provider: holder!, attempt: current, revoke: current !== number })
  }
  switch (verdict.is) {
    case 'open':
      if (stays || task.state.is === 'queued') return { task: next, effects }
      return { task: { ...next, state: { is: 'queued' } }, effects: [...effects, { type: 'queue' }] }
    case 'agreed':
      return conclude(next, verdict.attempts, effects, now)
    case 'split':
      return {
        task: { ...next, state: { is: 'failed', at: now, error: NO_QUORUM } },
        effects: [...effects, { type: 'end' }],
      }
  }
}

const NO_QUORUM: TaskError = { code: 'no_quorum', message: 'The results of its providers do not agree.' }

/** Ends a task by the results that agree: they are paid, the first is its output, and others were wrong. */
function conclude(task: Task, agreed: number[], before: Effect[], now: number): Transition {
  const effects = [...before]
  let next = task
  for (const delivery of task.deliveries!) {
    const { attempt, units } = delivery
    const { state } = task.attempts[attempt - 1]!
    const { at } = state as Extract<AttemptState, { is: 'delivered' }>
    const isRight = agreed.includes(attempt)
    next = withAttempt(
      next,
      attempt,
      isRight ? { units, state: { is: 'succeeded', at } } : { state: { is: 'refuted', at } },
    )
    if (isRight) effects.push(capture(task.attempts[attempt - 1]!, delivery))
  }
  for (const [provider, outcome] of outcomesOf(next.attempts.map(standing)))
    effects.push({ type: 'score', provider, outcome })
  effects.push({ type: 'end' })
  const { attempt, output, usage, signed } = task.deliveries!.find((one) => one.attempt === agreed[0])!
  const units = next.attempts.reduce((sum, attempt) => sum + attempt.units, 0)
  const state: TaskState = { is: 'succeeded', at: now, attempt, output, usage, units, price: paid(next) }
  return { task: { ...next, state: signed ? { ...state, signed } : state }, effects }
}

/** Pays an attempt for its result. */
function capture({ provider, ask }: Attempt, { units, devices }: Pick<Delivery, 'units' | 'devices'>): Effect {
  return { type: 'capture', provider, price: ask * BigInt(units), ...(devices && { devices }) }
}

const standing = ({ provider, state }: Attempt) => ({ provider, state: state.is })

/** Ends an attempt that holds a lease without a result: another goes on, or back to the queue, or the end of the task. */
function endAttempt(task: Task, number: number, state: AttemptState, now: number): Transition {
  const attempt = task.attempts[number - 1]
  const leased = leasedAttempts(task)
  if (!attempt || !leased.includes(number)) return refuse(task, number)
  const ended = withAttempt(task, number, { state })
  const release: Effect = {
    type: 'release',
    provider: attempt.provider,
    attempt: number,
    revoke: state.is === 'lost',
  }
  const other = leased.find((each) => each !== number)
  if (other !== undefined) return { task: { ...ended, state: leasedBy(ended, other) }, effects: [release] }
  if (triesOf(ended) < task.spec.maxAttempts) return leave(ended, number, { is: 'queued' }, [release])
  if (isUnchecked(ended)) return conclude(ended, [ended.deliveries![0]!.attempt], [release], now)
  const error = state.is === 'failed' ? state.error : { code: 'lease_lost', message: 'The provider stopped answering.' }
  return leave(ended, number, { is: 'failed', at: now, error }, [release])
}

const leasedBy = ({ attempts }: Task, attempt: number): TaskState => ({
  is: attempts[attempt - 1]!.state.is === 'started' ? 'running' : 'leased',
  attempt,
})

/** From an attempt that has ended to what follows: at once, or for a stream when it is sealed. */
function leave(task: Task, attempt: number, next: Unfinished, releases: Effect[]): Transition {
  if (!task.spec.stream) return { task: { ...task, state: next }, effects: [...releases, follow(next)] }
  return { task: { ...task, state: { is: 'sealing', attempt, next } }, effects: [...releases, { type: 'seal' }] }
}

const follow = (next: Unfinished): Effect => ({ type: next.is === 'queued' ? 'queue' : 'end' })

/** Pays an attempt for what it delivered, of which no more is paid than what the task may still come to. */
function seal(task: Task, number: number, delivered: Prefix): Transition {
  const { spec, state } = task
  const prefix: Prefix = task.prefix ?? { text: '', tokens: 0 }
  if (state.is !== 'sealing' || state.attempt !== number) return refuse(task, number)
  const { provider, ask } = task.attempts[number - 1]!
  const units = Math.min(delivered.tokens, spec.maxUnits - prefix.tokens)
  const sealed = { ...withAttempt(task, number, { units }), state: state.next }
  const effects: Effect[] = units > 0 ? [{ type: 'capture', provider, price: ask * BigInt(units) }] : []
  effects.push(follow(state.next))
  if (delivered.text === '' && !delivered.beside) return { task: sealed, effects }
  const whole: Prefix = { text: prefix.text + delivered.text, tokens: prefix.tokens + units }
  if (prefix.beside ?? delivered.beside) whole.beside = addTexts(prefix.beside ?? {}, delivered.beside ?? {})
  return { task: { ...sealed, prefix: whole }, effects }
}

function stop(task: Task, state: Extract<TaskState, { is: 'cancelled' | 'expired' }>, now: number): Transition {
  if (isOver(task)) return { refused: 'task_finished' }
  if (task.state.is === 'sealing') {
    if (task.state.next.is !== 'queued') return { refused: 'task_finished' }
    return { task: { ...task, state: { ...task.state, next: state } }, effects: [] }
  }
  const current = currentAttempt(task)
  const stands = state.is === 'expired' && isUnchecked(task)
  if (current === 0) {
    if (stands) return conclude(task, [task.deliveries![0]!.attempt], [], now)
    return { task: { ...task, state }, effects: [{ type: 'end' }] }
  }
  let stopped = task
  const releases: Effect[] = []
  for (const number of leasedAttempts(task)) {
    stopped = withAttempt(stopped, number, { state: { is: 'superseded', at: now } })
    releases.push({ type: 'release', provider: task.attempts[number - 1]!.provider, attempt: number, revoke: true })
  }
  if (stands) return conclude(stopped, [task.deliveries![0]!.attempt], releases, now)
  return leave(stopped, current, state, releases)
}

/** A spot check found nobody who could do it again: its one result stands, as it would have had it not been drawn. */
const isUnchecked = ({ spec, deliveries }: Task): boolean =>
  spec.assurance?.level === 'spot' && deliveries?.length === 1

function refuse(task: Task, attempt: number): Transition {
  if (TAKEN.has(task.attempts[attempt - 1]?.state.is)) return { refused: 'already_accepted' }
  if (isOver(task)) return { refused: 'task_finished' }
  return { refused: attempt > 0 && attempt <= task.attempts.length ? 'attempt_over' : 'unknown_attempt' }
}

const TAKEN: ReadonlySet<string | undefined> = new Set(['succeeded', 'delivered', 'refuted'])

function withAttempt(task: Task, number: number, change: Partial<Attempt>): Task {
  const attempts = task.attempts.slice()
  attempts[number - 1] = { ...attempts[number - 1]!, ...change }
  return { ...task, attempts }
}
