/**
 * What this agent holds of one edge: leases that run, results that wait for the edge's word, and what has ended.
 * No I/O and no clock. Invariants: a lease id is taken at most once; a result leaves only by the edge's answer to it;
 * a lease is named in every frame, in `renew` or in `results`, until that answer, so the edge never takes it as dropped.
 */
import type { Lease, Poll, PollAnswer, Result, ResultReceipt } from '#core/protocol/lease.ts'
import { LIMITS } from '#core/protocol/values.ts'

type Entry =
  | { state: 'running'; lease: Lease }
  /** `sentAt` is null until it was sent over the present connection. */
  | { state: 'finished'; result: Result; bytes: number; sentAt: number | null }

export type LeaseBook = {
  /** Leases that the edge is promised to be taken, those that run included. */
  slots: number
  /** The most that it may still count on: `slots`, or more until it has answered to a frame that said less. */
  told: number
  /** The last such frame, while no answer to it has come. */
  lowered: { mark: number; slots: number } | null
  marks: number
  /** False while the agent is leaving: it then asks for nothing more. */
  open: boolean
  /** Highest lease seq received in this registration. */
  seen: number
  entries: Map<string, Entry>
  /** Ids of leases that have ended, oldest first: they may be delivered again. */
  ended: Set<string>
}

/** Results of one frame together stay below the edge's limit for a body. */
const FRAME_BYTES = LIMITS.bodyBytes / 2
/** A result whose answer has not come after this is sent again. */
export const RESEND_MS = 30_000
const ENDED_KEPT = 4096
/** Refusals that are about the moment, not about the result. */
const PASSING = new Set(['overloaded', 'rate_limited', 'internal'])

export function createBook(slots: number): LeaseBook {
  return { slots, told: slots, lowered: null, marks: 0, open: true, seen: 0, entries: new Map(), ended: new Set() }
}

/** Takes in leases and returns those that are new here and must be run. */
export function receive(book: LeaseBook, leases: Lease[]): Lease[] {
  const fresh: Lease[] = []
  for (const lease of leases) {
    book.seen = Math.max(book.seen, lease.seq)
    if (book.entries.has(lease.id) || book.ended.has(lease.id)) continue
    book.entries.set(lease.id, { state: 'running', lease })
    fresh.push(lease)
  }
  return fresh
}

/** A lease has its result, here or in the spool of an earlier run. False if it was revoked in the meantime. */
export function finish(book: LeaseBook, result: Result, from: 'run' | 'spool'): boolean {
  if (from === 'run' && book.entries.get(result.lease)?.state !== 'running') return false
  const bytes = Buffer.byteLength(JSON.stringify(result))
  book.entries.set(result.lease, { state: 'finished', result, bytes, sentAt: null })
  return true
}

/** The next frame or poll; what it carries counts as sent at `now`. */
export function nextPoll(book: LeaseBook, now: number): Omit<Poll, 'waitSeconds'> {
  const results: Result[] = []
  const renew: string[] = []
  let bytes = 0
  let running = 0
  for (const [id, entry] of book.entries) {
    if (entry.state === 'running') running++
    else if (
      (entry.sentAt === null || now - entry.sentAt > RESEND_MS) &&
      results.length < LIMITS.slots &&
      (results.length === 0 || bytes + entry.bytes <= FRAME_BYTES)
    ) {
      bytes += entry.bytes
      entry.sentAt = now
      results.push(entry.result)
      continue
    }
    renew.push(id)
  }
  const free = book.open ? Math.max(book.slots - running, 0) : 0
  book.told = Math.max(book.told, book.slots)
  book.lowered = book.slots < book.told ? { mark: ++book.marks, slots: book.slots } : null
  const mark = book.lowered ? { mark: book.lowered.mark } : {}
  return { free, seen: book.seen, results, renew: renew.slice(0, LIMITS.slots), ...mark }
}

/** True when a frame would carry results now. */
export function hasUnsent(book: LeaseBook): boolean {
  for (const entry of book.entries.values()) if (entry.state === 'finished' && entry.sentAt === null) return true
  return false
}

/** The connection is gone, or an answer never came: whatever was sent may be lost. */
export function forgetSent(book: LeaseBook): void {
  for (const entry of book.entries.values()) if (entry.state === 'finished') entry.sentAt = null
}

/** A new registration counts its leases anew; the edge delivers again what it still holds for us. */
export function startRegistration(book: LeaseBook): void {
  book.seen = 0
  forgetSent(book)
}

export type Settled = { receipts: ResultReceipt[]; revoked: string[]; fresh: Lease[] }

/** Takes in an answer: final receipts (drop their spool), leases to abort, leases to run. */
export function takeAnswer(book: LeaseBook, answer: PollAnswer): Settled {
  if (book.lowered && answer.mark === book.lowered.mark) {
    book.told = book.lowered.slots
    book.lowered = null
  }
  const receipts: ResultReceipt[] = []
  for (const receipt of answer.results) {
    const entry = book.entries.get(receipt.lease)
    if (entry?.state !== 'finished') continue
    if (!receipt.accepted && PASSING.has(receipt.code ?? '')) continue // sent again after RESEND_MS
    end(book, receipt.lease)
    receipts.push(receipt)
  }
  const revoked: string[] = []
  for (const id of answer.revoked) {
    // A finished result stays: only a receipt speaks about it.
    if (book.entries.get(id)?.state !== 'running') continue
    end(book, id)
    revoked.push(id)
  }
  return { receipts, revoked, fresh: receive(book, answer.leases) }
}

function end(book: LeaseBook, id: string): void {
  book.entries.delete(id)
  book.ended.add(id)
  if (book.ended.size > ENDED_KEPT) for (const oldest of book.ended) return void book.ended.delete(oldest)
}

/** Leases the edge counts on us for: while there are any, they must be renewed. */
export const held = (book: LeaseBook): number => book.entries.size

export function running(book: LeaseBook): string[] {
  return [...book.entries].flatMap(([id, entry]) => (entry.state === 'running' ? [id] : []))
}
