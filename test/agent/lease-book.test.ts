import { expect, test } from 'vitest'
import {
  createBook,
  finish,
  forgetSent,
  hasUnsent,
  held,
  nextPoll,
  RESEND_MS,
  receive,
  startRegistration,
  takeAnswer,
} from '#agent/lease-book.ts'
import type { Lease, PollAnswer, Result } from '#core/protocol/lease.ts'

const lease = (id: string, seq: number): Lease => ({
  id,
  seq,
  kind: 'text.embed',
  model: 'm',
  input: {},
  maxUnits: 1,
  stream: false,
  expiresAt: 0,
})
const failed = (id: string, message = ''): Result => ({
  lease: id,
  outcome: { status: 'failed', error: { code: 'x', message } },
})
const answer = (parts: Partial<PollAnswer>): PollAnswer => ({ leases: [], results: [], revoked: [], now: 0, ...parts })

test('a lease is taken once: running, finished or ended, its redelivery starts nothing', () => {
  const book = createBook(2)
  expect(receive(book, [lease('a.1', 1)])).toHaveLength(1)
  expect(receive(book, [lease('a.1', 1)])).toHaveLength(0)
  finish(book, failed('a.1'), 'run')
  expect(receive(book, [lease('a.1', 1)])).toHaveLength(0)
  takeAnswer(book, answer({ results: [{ lease: 'a.1', accepted: true }] }))
  expect(held(book)).toBe(0)
  expect(receive(book, [lease('a.1', 1)])).toHaveLength(0)
})

test('every lease is in each frame, as renewal or result, until the edge has answered for it', () => {
  const book = createBook(3)
  receive(book, [lease('a.1', 1), lease('b.1', 2)])
  expect(nextPoll(book, 0)).toEqual({ free: 1, seen: 2, results: [], renew: ['a.1', 'b.1'] })
  finish(book, failed('a.1'), 'run')
  expect(nextPoll(book, 0)).toEqual({ free: 2, seen: 2, results: [failed('a.1')], renew: ['b.1'] })
  expect(nextPoll(book, 0)).toEqual({ free: 2, seen: 2, results: [], renew: ['a.1', 'b.1'] })
})

test('a result is sent again after a lost connection, and when its answer never comes', () => {
  const book = createBook(1)
  receive(book, [lease('a.1', 1)])
  finish(book, failed('a.1'), 'run')
  expect(nextPoll(book, 0).results).toHaveLength(1)
  expect(nextPoll(book, RESEND_MS).results).toHaveLength(0)
  expect(nextPoll(book, RESEND_MS + 1).results).toHaveLength(1)
  forgetSent(book)
  expect(nextPoll(book, RESEND_MS + 2).results).toHaveLength(1)
})

test('a refusal ends a result, but not one that is about the moment', () => {
  const book = createBook(1)
  for (const id of ['a.1', 'b.1']) finish(book, failed(id), 'spool')
  const { receipts } = takeAnswer(
    book,
    answer({
      results: [
        { lease: 'a.1', accepted: false, code: 'lease_not_found' },
        { lease: 'b.1', accepted: false, code: 'overloaded' },
      ],
    }),
  )
  expect(receipts.map((receipt) => receipt.lease)).toEqual(['a.1'])
  expect([...book.entries.keys()]).toEqual(['b.1'])
})

test('a revoked lease is ended and its late result dropped; a finished result waits for its receipt', () => {
  const book = createBook(2)
  receive(book, [lease('a.1', 1), lease('b.1', 2)])
  finish(book, failed('b.1'), 'run')
  const { revoked } = takeAnswer(book, answer({ revoked: ['a.1', 'b.1', 'unknown.1'] }))
  expect(revoked).toEqual(['a.1'])
  expect(finish(book, failed('a.1'), 'run')).toBe(false)
  expect([...book.entries.keys()]).toEqual(['b.1'])
})

test('a frame of results stays below the limit of a body, and the rest follows', () => {
  const book = createBook(10)
  for (let i = 0; i < 7; i++) finish(book, failed(`t${i}.1`, 'x'.repeat(900_000)), 'spool')
  const first = nextPoll(book, 0)
  expect(first.results.length).toBeLessThan(7)
  expect(hasUnsent(book)).toBe(true)
  const second = nextPoll(book, 0)
  expect(first.results.length + second.results.length).toBe(7)
  expect(hasUnsent(book)).toBe(false)
})

test('a leaving agent asks for nothing more, and a new registration counts anew', () => {
  const book = createBook(4)
  receive(book, [lease('a.1', 9)])
  book.open = false
  expect(nextPoll(book, 0)).toMatchObject({ free: 0, seen: 9 })
  startRegistration(book)
  expect(nextPoll(book, 0)).toMatchObject({ seen: 0, renew: ['a.1'] })
})
