import { expect, test } from 'vitest'
import { type Book, nextDue, openOf, tick } from '#core/book.ts'
import { cancel, submit } from '#core/market.ts'
import { purseId } from '#core/purse.ts'
import { makeTaskId } from '#core/task-id.ts'
import { liveSummaries } from '#core/task-list.ts'
import { join, openBook, request, requesterOf, T0 } from '../support/book.ts'
import { readBack, writeWhole } from '../support/market-world.ts'

const MINUTE = 60_000

/** Submits six tasks of a requester. */
function order(book: Book, n: number, now: number): string[] {
  const newId = (at: number) => makeTaskId(book.cell, at, String(++made).padStart(10, '0'))
  const requests = Array.from({ length: 6 }, () => request({ deadlineMs: 60 * MINUTE }))
  const purse = purseId(requesterOf(n), 'session')
  const result = submit(book, { requester: requesterOf(n), purse, requests, newId }, now)
  return 'tasks' in result ? result.tasks.map(({ spec }) => spec.id) : []
}
let made = 0

/** Tasks of two requesters on six pages. */
function asleep() {
  const book = openBook([1, 2])
  const ids = [1, 2].flatMap((n) => order(book, n, T0 + n))
  const pages = new Map()
  return { book, ids, pages, written: writeWhole(book, pages) }
}

const inMemory = ({ tasks, pages, unread }: Book) => ({ tasks: tasks.size, pages: pages.size, unread: unread.size })

test('a market that comes back reads no page, and then only those that it is asked for', () => {
  const { book, ids, written } = asleep()
  expect(written.parts.filter(({ type }) => type === 'task')).toEqual([])
  const woken = readBack(written, T0 + MINUTE)
  expect(inMemory(woken)).toEqual({ tasks: 0, pages: 6, unread: 6 })
  expect(woken.occupancy).toEqual(book.occupancy)
  expect(woken.matching.queued).toBe(12)
  expect(nextDue(woken)).toBe(nextDue(book))

  const provider = join(woken, 1, T0 + MINUTE, { slots: 1, free: 1 })
  expect([...provider.leases.values()].map(({ task }) => task)).toEqual([ids[0]])
  expect(inMemory(woken)).toEqual({ tasks: 2, pages: 6, unread: 5 })
  expect(openOf(woken, 'c1-nothing')).toBeUndefined()
  expect(inMemory(woken).unread).toBe(5)
  cancel(woken, ids[11]!, T0 + MINUTE)
  expect(woken.ended.get(ids[11]!)!.state.is).toBe('cancelled')
  expect(liveSummaries(woken, { by: 'requester', address: requesterOf(1) })).toHaveLength(6)
  tick(woken, T0 + 61 * MINUTE)
  expect(inMemory(woken)).toEqual({ tasks: 0, pages: 6, unread: 0 })
  expect(woken.matching.queued).toBe(0)
  expect(woken.occupancy.tasks).toBe(0)
  expect(woken.ended.size).toBe(12)
})

test('a page is written once, and given up when little of it is left', () => {
  const { book, ids, pages, written } = asleep()
  const before = structuredClone(written.pages)
  expect(writeWhole(book, pages)).toMatchObject({ pages: before })
  for (const id of ids.slice(0, 3)) cancel(book, id, T0)
  const { head } = writeWhole(book, pages)
  expect([...pages.keys()]).toEqual([2, 3, 4, 5, 6])
  expect(head.pages!.map(({ gone }) => gone)).toEqual([[0], [], [], [], []])
  for (const id of ids.slice(3)) cancel(book, id, T0)
  expect(writeWhole(book, pages).head.pages).toEqual([])
  expect(pages.size).toBe(0)
})
