/**
 * An auditor beside the market: it keeps books of its own from the journal and from what providers handed in, and holds every
 * call's outcome against them. Each event costs it the same, however large the market is; now and then it looks at everything.
 *
 * - A task is in one state, which follows from its attempts, and ends once.
 * - One attempt at a time holds the lease, with a number one higher than the last; or two, by two providers, where the first is late
 *   and the task may have a second.
 * - An attempt is paid once, for a result that was handed in and accepted or for what a room says was delivered, and within what
 *   was held for it.
 * - What requesters paid is what providers earned and the network took, to the unit.
 */
import { createHash, type Hash } from 'node:crypto'
import type { Account } from '#core/account.ts'
import { leasedAttempts } from '#core/attempts.ts'
import type { Book, BookEvent } from '#core/book.ts'
import { exclusion } from '#core/matching.ts'
import { splitFee } from '#core/money.ts'
import type { Result, ResultReceipt } from '#core/protocol/lease.ts'
import type { Address } from '#core/protocol/values.ts'
import { available } from '#core/purse.ts'
import { held, isOver, paid, type Task, type TaskEvent, type TaskSpec } from '#core/task.ts'

export type Violation = { at: number; rule: string; what: string }

type Attempt = { provider: Address; ask: bigint; paid: boolean; lost: boolean }
type Shadow = {
  spec: TaskSpec
  is: 'queued' | 'leased' | 'sealing'
  attempts: Attempt[]
  /** Numbers of the attempts that hold a lease. */
  holders: number[]
  tries: number
  /** What it becomes when its room has answered. */
  next: 'queued' | End
  units: number
  paid: bigint
}
type End = 'succeeded' | 'failed' | 'cancelled' | 'expired'

type Totals = { held: bigint; captured: bigint }

export type Auditor = {
  now: number
  open: Map<string, Shadow>
  /** By the number of the task: whether it has ended. */
  over: boolean[]
  /** Ends of this call that the market has still to tell. */
  untold: Map<string, End>
  purses: Map<string, Totals>
  earned: Map<Address, bigint>
  fees: bigint
  /** Leases whose result was handed in and accepted in this call. */
  accepted: Set<string>
  ends: Record<End, number>
  events: number
  granted: number
  retried: number
  /** Attempts begun beside a late one. */
  seconds: number
  /** Results taken from attempts that had lost their lease. */
  late: number
  violations: Violation[]
  violated: number
  journal: Hash
  pending: string[]
}

const KEPT = 20

export function createAuditor(): Auditor {
  return {
    now: 0,
    open: new Map(),
    over: [],
    untold: new Map(),
    purses: new Map(),
    earned: new Map(),
    fees: 0n,
    accepted: new Set(),
    ends: { succeeded: 0, failed: 0, cancelled: 0, expired: 0 },
    events: 0,
    granted: 0,
    retried: 0,
    seconds: 0,
    late: 0,
    violations: [],
    violated: 0,
    journal: createHash('sha256'),
    pending: [],
  }
}

/** Notes that a rule was broken. */
export function blame(auditor: Auditor, rule: string, what: string): void {
  auditor.violated++
  if (auditor.violations.length < KEPT) auditor.violations.push({ at: auditor.now, rule, what })
}

/** Something broke that must never break. */
export const blameError = (auditor: Auditor, error: unknown): void =>
  blame(
    auditor,
    'no_error',
    error instanceof Error ? (error.stack ?? error.message).split('\n').slice(0, 3).join(' ') : String(error),
  )

/** Notes which of the results that a provider handed in were accepted, before `auditCall` looks at what was paid. */
export function auditResults(auditor: Auditor, provider: Address, results: Result[], receipts: ResultReceipt[]): void {
  if (receipts.length !== results.length) blame(auditor, 'receipt_each', `${results.length} results of ${provider}`)
  for (const [i, { lease, outcome }] of results.entries()) {
    if (receipts[i]?.lease !== lease) blame(auditor, 'receipt_each', `${lease} of ${provider}`)
    if (outcome.status === 'succeeded' && receipts[i]?.accepted) auditor.accepted.add(`${lease} ${provider}`)
  }
}

/** Holds what a call has left in the book's journal and news against the books kept here. */
export function auditCall(auditor: Auditor, book: Book): void {
  for (const event of book.log) {
    auditor.events++
    auditor.now = event.at
    note(auditor, event)
    if (event.type === 'submitted') submitted(auditor, event.spec)
    else if (event.type === 'task') changed(auditor, book, event.id, event.event)
  }
  for (const task of book.news.ended) ended(auditor, book, task)
  for (const id of auditor.untold.keys()) blame(auditor, 'end_told', `the end of ${id} was not told`)
  auditor.untold.clear()
  auditor.accepted.clear()
  if (book.fees !== auditor.fees) blame(auditor, 'ledger', `fees are ${book.fees}, not ${auditor.fees}`)
  if (book.tasks.size !== auditor.open.size)
    blame(auditor, 'one_place', `${book.tasks.size} open, not ${auditor.open.size}`)
}

/** Into the digest of the run. */
function note(auditor: Auditor, event: BookEvent): void {
  const { pending } = auditor
  switch (event.type) {
    case 'submitted':
      pending.push(`${event.at} ${event.spec.id} submitted ${event.spec.requester}`)
      break
    case 'task': {
      const { type } = event.event
      const who = type === 'granted' ? event.event.provider : 'attempt' in event.event ? event.event.attempt : ''
      pending.push(`${event.at} ${event.id} ${type} ${who} ${type === 'succeeded' ? event.event.units : ''}`)
      break
    }
    case 'registered':
      pending.push(`${event.at} ${event.address} registered`)
      break
    case 'drew':
      pending.push(`${event.at} ${event.purse} drew ${event.total}`)
      break
    default:
      pending.push(`${event.at} ${event.type}`)
  }
  if (pending.length < 1000) return
  flush(auditor)
}

function flush(auditor: Auditor): void {
  auditor.journal.update(`${auditor.pending.join('\n')}\n`)
  auditor.pending = []
}

/** SHA-256 of the run's journal, hex; call it once, at the end. */
export function digestOf(auditor: Auditor): string {
  flush(auditor)
  return auditor.journal.digest('hex')
}

function submitted(auditor: Auditor, spec: TaskSpec): void {
  if (auditor.open.has(spec.id) || auditor.over[spec.seq] !== undefined) blame(auditor, 'new_id', spec.id)
  auditor.open.set(spec.id, {
    spec,
    is: 'queued',
    attempts: [],
    holders: [],
    tries: 0,
    next: 'queued',
    units: 0,
    paid: 0n,
  })
  auditor.over[spec.seq] = false
  purseOf(auditor, spec.purse).held += held(spec)
}

function purseOf(auditor: Auditor, id: string): Totals {
  const totals = auditor.purses.get(id) ?? { held: 0n, captured: 0n }
  auditor.purses.set(id, totals)
  return totals
}

function changed(auditor: Auditor, book: Book, id: string, event: TaskEvent): void {
  const shadow = auditor.open.get(id)
  if (!shadow) {
    blame(auditor, 'final_once', `${id} was ${event.type} after its end`)
    return
  }
  switch (event.type) {
    case 'granted':
      granted(auditor, book, shadow, event)
      return
    case 'succeeded':
      succeeded(auditor, shadow, event)
      return
    case 'failed':
    case 'lost':
    case 'returned':
      attemptOver(auditor, shadow, event)
      return
    case 'sealed':
      sealedBy(auditor, shadow, event)
      return
    case 'cancelled':
    case 'expired':
      stopped(auditor, shadow, event.type)
      return
    case 'started':
      blame(auditor, 'soft_started', `${id} wrote down that it started`)
  }
}

function granted(
  auditor: Auditor,
  book: Book,
  shadow: Shadow,
  { provider, ask }: Extract<TaskEvent, { type: 'granted' }>,
): void {
  const { spec, attempts, holders } = shadow
  if (shadow.is !== 'queued' && !maySecond(shadow, provider)) {
    blame(auditor, 'one_lease', `${spec.id} was granted while ${shadow.is}`)
  }
  const supply = book.providers.get(provider)?.supply
  if (!supply || supply.room < 0) blame(auditor, 'room', `${spec.id} went to ${provider}, which has no room`)
  if (ask > spec.bid) blame(auditor, 'price', `${spec.id} pays ${spec.bid}, ${provider} asks ${ask}`)
  if (provider === spec.requester) blame(auditor, 'self', `${spec.id} went to its requester`)
  if (spec.region !== null && supply?.region !== spec.region) blame(auditor, 'region', `${spec.id} at ${provider}`)
  if (!supply?.offers.some(({ kind, model }) => kind === spec.kind && model === spec.model)) {
    blame(auditor, 'class', `${provider} does not offer ${spec.kind} ${spec.model} of ${spec.id}`)
  }
  auditor.granted++
  if (shadow.is === 'leased') auditor.seconds++
  else if (attempts.length > 0) auditor.retried++
  attempts.push({ provider, ask, paid: false, lost: false })
  holders.push(attempts.length)
  shadow.is = 'leased'
}

/** Whether another attempt may run beside the one that does. */
function maySecond({ spec, is, attempts, holders }: Shadow, provider: Address): boolean {
  if (is !== 'leased' || holders.length !== 1 || attempts[holders[0]! - 1]!.provider === provider) return false
  return !spec.stream && !spec.assurance && spec.preference !== 'cheapest'
}

function succeeded(
  auditor: Auditor,
  shadow: Shadow,
  { attempt: number, units }: Extract<TaskEvent, { type: 'succeeded' }>,
): void {
  const { spec, attempts } = shadow
  const attempt = attempts[number - 1]
  const holds = shadow.is === 'leased' && shadow.holders.includes(number)
  if (!attempt || (!holds && (!attempt.lost || spec.stream))) {
    blame(auditor, 'fencing', `${spec.id}.${number} succeeded without its lease`)
    return
  }
  if (!auditor.accepted.has(`${spec.id}.${number} ${attempt.provider}`)) {
    blame(auditor, 'accepted', `${spec.id}.${number} was paid, and ${attempt.provider} was told nothing`)
  }
  if (!holds) auditor.late++
  pay(auditor, shadow, attempt, units)
  end(auditor, shadow, 'succeeded')
}

function pay(auditor: Auditor, shadow: Shadow, attempt: Attempt, units: number): void {
  const { spec } = shadow
  if (attempt.paid) blame(auditor, 'one_settlement', `${spec.id} paid ${attempt.provider} twice for an attempt`)
  attempt.paid = true
  shadow.units += units
  if (shadow.units > spec.maxUnits) blame(auditor, 'within_hold', `${spec.id} is paid for ${shadow.units} units`)
  const price = attempt.ask * BigInt(units)
  const { earned, fee } = splitFee(price)
  shadow.paid += price
  auditor.fees += fee
  const sum = (auditor.earned.get(attempt.provider) ?? 0n) + earned
  auditor.earned.set(attempt.provider, sum)
  const purse = purseOf(auditor, spec.purse)
  purse.captured += price
  purse.held -= price
}

function attemptOver(
  auditor: Auditor,
  shadow: Shadow,
  event: Extract<TaskEvent, { type: 'failed' | 'lost' | 'returned' }>,
): void {
  const { spec, attempts, holders } = shadow
  if (shadow.is !== 'leased' || !holders.includes(event.attempt)) {
    blame(auditor, 'fencing', `${spec.id}.${event.attempt} was ${event.type} without its lease`)
    return
  }
  if (event.type === 'lost') attempts[event.attempt - 1]!.lost = true
  if (event.type !== 'returned') shadow.tries++
  shadow.holders = holders.filter((number) => number !== event.attempt)
  if (shadow.holders.length > 0) return
  follow(auditor, shadow, shadow.tries < spec.maxAttempts ? 'queued' : 'failed')
}

function stopped(auditor: Auditor, shadow: Shadow, how: 'cancelled' | 'expired'): void {
  if (shadow.is === 'leased') follow(auditor, shadow, how)
  else if (shadow.is === 'queued') end(auditor, shadow, how)
  else if (shadow.next === 'queued') shadow.next = how
  else blame(auditor, 'final_once', `${shadow.spec.id} was ${how} on its way to ${shadow.next}`)
}

/** An attempt has ended without a result: what follows comes at once, or for a stream when its room has answered. */
function follow(auditor: Auditor, shadow: Shadow, next: 'queued' | End): void {
  shadow.holders = []
  if (shadow.spec.stream) Object.assign(shadow, { is: 'sealing', next })
  else if (next === 'queued') shadow.is = 'queued'
  else end(auditor, shadow, next)
}

function sealedBy(
  auditor: Auditor,
  shadow: Shadow,
  { attempt: number, delivered }: Extract<TaskEvent, { type: 'sealed' }>,
): void {
  const { spec, attempts, next } = shadow
  if (shadow.is !== 'sealing' || number !== attempts.length) {
    blame(auditor, 'fencing', `${spec.id}.${number} was sealed while ${shadow.is}`)
    return
  }
  const units = Math.min(delivered.tokens, spec.maxUnits - shadow.units)
  if (units > 0) pay(auditor, shadow, attempts[number - 1]!, units)
  if (next === 'queued') shadow.is = 'queued'
  else end(auditor, shadow, next)
}

function end(auditor: Auditor, shadow: Shadow, how: End): void {
  const { spec } = shadow
  if (auditor.over[spec.seq]) blame(auditor, 'final_once', `${spec.id} ended again, ${how}`)
  auditor.over[spec.seq] = true
  auditor.open.delete(spec.id)
  auditor.untold.set(spec.id, how)
  auditor.ends[how]++
  purseOf(auditor, spec.purse).held -= held(spec) - shadow.paid
}

/** The market says that a task has ended: as it should, and paid as it should be. */
function ended(auditor: Auditor, book: Book, task: Task): void {
  const { spec, state } = task
  const how = auditor.untold.get(spec.id)
  if (how !== state.is) blame(auditor, 'final_once', `${spec.id} is ${state.is}, not ${how ?? 'over'}`)
  auditor.untold.delete(spec.id)
  if (paid(task) > held(spec)) blame(auditor, 'within_hold', `${spec.id} paid ${paid(task)} of ${held(spec)}`)
  const purse = book.purses.get(spec.purse)!
  const own = purseOf(auditor, spec.purse)
  if (purse.held !== own.held || purse.captured !== own.captured || available(purse) < 0n) {
    blame(auditor, 'ledger', `the purse ${spec.purse} holds ${purse.held}, captured ${purse.captured}`)
  }
  for (const { provider } of task.attempts) {
    const earned = book.providers.get(provider)!.earned
    if (earned !== (auditor.earned.get(provider) ?? 0n)) blame(auditor, 'ledger', `${provider} earned ${earned}`)
  }
}

/** Tasks that wait which are held against every provider. */
const SAMPLE = 20

/** Looks at the whole book: every sum, every lease, and whether anybody is idle who could work. */
export function auditAll(auditor: Auditor, book: Book, now: number): void {
  auditor.now = now
  auditMoney(auditor, book)
  auditLeases(auditor, book)
  let looked = 0
  for (const { task, want } of book.tasks.values()) {
    if (task.state.is !== 'queued') continue
    if (looked++ === SAMPLE) break
    for (const { supply } of book.providers.values()) {
      if (exclusion(want, supply, now) !== null) continue
      blame(auditor, 'nothing_idle', `${task.spec.id} waits, and ${supply.address} has room for it`)
      break
    }
  }
}

function auditMoney(auditor: Auditor, book: Book): void {
  let captured = 0n
  let earned = 0n
  for (const purse of book.purses.values()) {
    const own = purseOf(auditor, purse.id)
    captured += purse.captured
    if (purse.held !== own.held || purse.captured !== own.captured) blame(auditor, 'ledger', `the purse ${purse.id}`)
    if (purse.held < 0n || available(purse) < 0n) blame(auditor, 'ledger', `the purse ${purse.id} is overdrawn`)
  }
  for (const { supply, ...provider } of book.providers.values()) {
    earned += provider.earned
    if (provider.earned !== (auditor.earned.get(supply.address) ?? 0n)) blame(auditor, 'ledger', supply.address)
  }
  if (captured !== earned + book.fees) blame(auditor, 'ledger', `drift of ${captured - earned - book.fees} base units`)
}

function auditLeases(auditor: Auditor, book: Book): void {
  const leased = new Map<string, number>()
  let queued = 0
  for (const { task } of book.tasks.values()) {
    if (isOver(task)) blame(auditor, 'one_place', `${task.spec.id} is over, and open`)
    if (task.state.is === 'queued') queued++
    const shadow = auditor.open.get(task.spec.id)
    const is = task.state.is === 'running' ? 'leased' : task.state.is
    if (shadow?.is !== is) blame(auditor, 'one_place', `${task.spec.id} is ${task.state.is}, not ${shadow?.is}`)
  }
  for (const { supply, leases } of book.providers.values()) {
    for (const [id, { task, attempt }] of leases) {
      const open = book.tasks.get(task)?.task
      if (!open || !leasedAttempts(open).includes(attempt)) blame(auditor, 'one_lease', `${supply.address} holds ${id}`)
      leased.set(task, (leased.get(task) ?? 0) + 1)
    }
  }
  for (const [id, held] of leased) {
    if (held !== auditor.open.get(id)?.holders.length) blame(auditor, 'one_lease', `${id} is held ${held} times`)
  }
  if (queued !== book.matching.queued)
    blame(auditor, 'one_place', `${queued} wait, ${book.matching.queued} stand in line`)
  if (leased.size !== book.tasks.size - queued - book.sealing.size) blame(auditor, 'one_lease', 'leases without a task')
}

/** What accounts gave to the market and is neither in a purse, nor earned, nor a fee, base units: 0 when the books add up. */
export function driftOf(book: Book, accounts: Iterable<Account>): bigint {
  let drift = -book.fees
  for (const { draws } of accounts) for (const { drawn } of draws.values()) drift += drawn
  for (const { earned } of book.providers.values()) drift -= earned
  for (const purse of book.purses.values()) drift -= purse.held + available(purse) + purse.restored
  return drift
}
