import { expect, test } from 'vitest'
import { advance, createFairness, stamp } from '#core/fairness.ts'
import {
  enrol,
  holderOf,
  openBook,
  order,
  providerOf,
  request,
  requesterOf,
  say,
  succeeded,
  T0,
  taskOf,
} from '../support/book.ts'

/** Runs a book with one provider of one slot to its end; returns the requesters in the order they were served. */
function servedOf(book: ReturnType<typeof openBook>, rounds: number): string[] {
  const provider = enrol(book, 1, T0)
  const served: string[] = []
  let results: ReturnType<typeof succeeded>[] = []
  for (let i = 0; i < rounds; i++) {
    say(book, provider, { free: 1, seen: provider.lastSeq, results }, T0)
    const [id, lease] = [...provider.leases][0]!
    served.push(taskOf(book, lease.task).spec.requester)
    results = [succeeded(id)]
  }
  return served
}

test('a requester with a thousand queued tasks does not delay the first task of another behind them', () => {
  const book = openBook([1, 2])
  order(
    book,
    1,
    Array.from({ length: 1000 }, () => request()),
    T0,
  )
  order(book, 2, [request()], T0)
  expect(servedOf(book, 2)).toContain(requesterOf(2))
})

test('nor when a hundred of them have been served already', () => {
  const book = openBook([1, 2])
  order(
    book,
    1,
    Array.from({ length: 1000 }, () => request()),
    T0,
  )
  servedOf(book, 100)
  order(book, 2, [request()], T0)
  expect(servedOf(book, 3)).toContain(requesterOf(2))
})

test('requesters with full queues take turns', () => {
  const book = openBook([1, 2, 3])
  for (const n of [1, 2, 3])
    order(
      book,
      n,
      Array.from({ length: 50 }, () => request()),
      T0,
    )
  const served = servedOf(book, 60)
  for (let i = 0; i < 60; i += 3) expect(new Set(served.slice(i, i + 3)).size).toBe(3)
})

test('a requester that was away gains no arrears: it takes turns from now on', () => {
  const book = openBook([1, 2])
  order(
    book,
    1,
    Array.from({ length: 60 }, () => request()),
    T0,
  )
  servedOf(book, 30)
  order(
    book,
    2,
    Array.from({ length: 30 }, () => request()),
    T0,
  )
  const served = servedOf(book, 20)
  expect(served.filter((requester) => requester === requesterOf(1)).length).toBeGreaterThanOrEqual(9)
})

test('among tasks of the same turn the nearest deadline goes first', () => {
  const book = openBook([1, 2])
  order(book, 1, [request({ deadlineMs: 60_000 })], T0)
  order(book, 2, [request({ deadlineMs: 30_000 })], T0)
  expect(servedOf(book, 2)).toEqual([requesterOf(2), requesterOf(1)])
})

test('a retried task keeps its turn', () => {
  const book = openBook([1])
  const [first] = order(book, 1, [request(), request(), request()], T0)
  const provider = enrol(book, 1, T0)
  say(book, provider, { free: 1 }, T0)
  const [lease] = provider.leases.keys()
  say(book, provider, { free: 0, seen: 1, results: [{ lease: lease!, outcome: { status: 'returned' } }] }, T0)
  const other = enrol(book, 2, T0)
  say(book, other, { free: 1 }, T0)
  expect(holderOf(book, first!)).toBe(providerOf(2))
})

test('requesters that have been passed are forgotten, so that the book does not grow with everybody who ever came', () => {
  const fairness = createFairness()
  for (let n = 0; n < 50_000; n++) {
    const tag = stamp(fairness, requesterOf(n))
    advance(fairness, tag)
    // Somebody who comes often moves the turn on.
    advance(fairness, stamp(fairness, requesterOf(0)))
  }
  expect(fairness.finish.size).toBeLessThan(5000)
})
