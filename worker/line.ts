/**
 * A line to a market. The calls that this isolate has for it travel together: while one exchange is on its way, further calls
 * gather, and the next exchange takes them all; where many come, it waits a moment for more. So a busy market is asked a few hundred
 * times rather than thousands of times a second, writes one row for many calls, and one call alone still leaves at once.
 *
 * Two duties are always with one of the requests that wait: one sends, and one holds an exchange open for answers that come
 * later. After a while a duty is offered to all who wait, and the first to wake takes it.
 */
import { DomainError, type ErrorCode, type ErrorDetails } from '#core/errors.ts'
import type { Idempotency } from '#core/idempotency.ts'
import type { Poll } from '#core/protocol/lease.ts'
import type { Address } from '#core/protocol/values.ts'
import type { Json } from './outcome.ts'

/** What can be asked. Arguments are numbers and text where it counts, which are cheap to carry; a value comes back as JSON. */
export type Question =
  | {
      method: 'submit'
      args: [requester: Address, key: string, requests: string, waitMs: number, idempotency?: Idempotency]
    }
  | { method: 'read'; args: [requester: Address, id: string, waitMs: number] }
  | { method: 'cancel'; args: [requester: Address, id: string] }
  | { method: 'poll'; args: [provider: Address, call: Json<Poll>] }
export type Call = Question & { id: number }
/** `text` is the value as JSON, or the error when not `ok`. */
export type CallAnswer = { id: number; ok: boolean; text: string }
/** `epoch` names the market's life: calls that an earlier one was holding are gone. */
export type Exchange = { epoch: string; answers: CallAnswer[] }

export type Line = {
  isolate: string
  epoch: string
  lastId: number
  queue: Call[]
  sending: boolean
  holding: boolean
  /** Until when calls are likely to come in numbers, for they just did. */
  busyUntil: number
  seats: Map<number, Seat>
}

/** Where a request waits. */
type Seat = { answer: CallAnswer | null; wake: () => void }
type Duty = 'sending' | 'holding'

export type Carrier = {
  exchange: (isolate: string, calls: Call[]) => Promise<Exchange>
  /** Keeps an exchange going after the request that makes it was answered. */
  waitUntil: (work: Promise<unknown>) => void
  now: () => number
}

/** The platform lets a request work for thirty seconds after it was answered; the last exchange may be held for ten. */
const DUTY_MS = 10_000
/** After an exchange of so many calls, those of the next while wait a moment for others to come along. */
const BUSY_CALLS = 3
const BUSY_MS = 10
const GATHER_MS = 1
/** Calls that may wait at once: each holds memory here and a place in the market. */
const MOST_WAITING = 10_000
/** Longer than any call is held. */
const LIMIT_MS = 60_000
const RESTARTED = JSON.stringify({ code: 'market_restarted', details: { retryAfterSeconds: 1 } })

export function openLine(isolate: string): Line {
  return { isolate, epoch: '', lastId: 0, queue: [], sending: false, holding: false, busyUntil: 0, seats: new Map() }
}

/** Makes a call and waits for its answer. @returns the value as JSON @throws DomainError */
export async function ask(line: Line, carrier: Carrier, question: Question): Promise<string> {
  if (line.seats.size >= MOST_WAITING) throw new DomainError('overloaded', { retryAfterSeconds: 1 })
  const id = ++line.lastId
  const seat: Seat = { answer: null, wake: () => {} }
  line.seats.set(id, seat)
  line.queue.push({ ...question, id })
  if (!line.sending) carrier.waitUntil(serve(line, carrier, 'sending'))
  // The platform ends a request that waits for nothing of its own; and should its answer be lost, this one ends by itself.
  const limit = setTimeout(() => answer(line, { id, ok: false, text: RESTARTED }), LIMIT_MS)
  while (seat.answer === null) {
    // Not `new Promise`: once the engine has optimised this function, it makes that without the mark of the request it is of, and who
    // resolves it then goes on with this request in its own place, which the platform refuses.
    const { promise, resolve } = Promise.withResolvers<void>()
    seat.wake = resolve
    await promise
    if (seat.answer !== null) break
    if (isNeeded(line, 'sending')) carrier.waitUntil(serve(line, carrier, 'sending'))
    if (isNeeded(line, 'holding')) carrier.waitUntil(serve(line, carrier, 'holding'))
  }
  clearTimeout(limit)
  const { ok, text } = seat.answer
  if (ok) return text
  const { code, details } = JSON.parse(text) as { code: ErrorCode; details: ErrorDetails }
  throw new DomainError(code, details)
}

/** Does a duty for as long as there is need of it, but not so long that the platform ends the request that does it. */
async function serve(line: Line, carrier: Carrier, duty: Duty): Promise<void> {
  const until = carrier.now() + DUTY_MS
  line[duty] = true
  do await exchange(line, carrier, duty)
  while ((duty === 'sending' ? line.queue.length : line.seats.size) > 0 && carrier.now() < until)
  line[duty] = false
  if (isNeeded(line, 'sending') || isNeeded(line, 'holding')) for (const { wake } of line.seats.values()) wake()
}

function isNeeded(line: Line, duty: Duty): boolean {
  if (duty === 'sending') return !line.sending && line.queue.length > 0
  return !line.holding && !line.sending && line.seats.size > 0
}

async function exchange(line: Line, carrier: Carrier, duty: Duty): Promise<void> {
  const calls = duty === 'sending' ? await gather(line, carrier) : []
  try {
    const { epoch, answers } = await carrier.exchange(line.isolate, calls)
    const sent = new Set(calls.map(({ id }) => id))
    if (line.epoch !== epoch && line.epoch !== '') breakOff(line, (id) => !sent.has(id))
    line.epoch = epoch
    for (const given of answers) answer(line, given)
  } catch {
    // The market went away with all that it was holding.
    breakOff(line, () => true)
    line.epoch = ''
  }
}

/** @returns the calls to send now */
async function gather(line: Line, carrier: Carrier): Promise<Call[]> {
  // Should its request end meanwhile, what is queued leaves at once.
  if (carrier.now() < line.busyUntil) await scheduler.wait(GATHER_MS).catch(() => {})
  const calls = line.queue
  line.queue = []
  if (calls.length >= BUSY_CALLS) line.busyUntil = carrier.now() + BUSY_MS
  return calls
}

/** Tells those who wait for a market that forgot them; calls still in the queue will reach the new one. */
function breakOff(line: Line, isLost: (id: number) => boolean): void {
  const queued = new Set(line.queue.map(({ id }) => id))
  for (const id of [...line.seats.keys()]) {
    if (!queued.has(id) && isLost(id)) answer(line, { id, ok: false, text: RESTARTED })
  }
}

function answer(line: Line, given: CallAnswer): void {
  const seat = line.seats.get(given.id)
  if (!seat) return
  line.seats.delete(given.id)
  seat.answer = given
  seat.wake()
}
