import { expect, test } from 'vitest'
import type { Book } from '#core/book.ts'
import type { TaskRequest } from '#core/request.ts'
import { enrol, openBook, order, request, requesterOf, say, succeeded, T0, taskOf } from '../support/book.ts'

const MINUTE = 60_000
const many = (count: number, over: Partial<TaskRequest> = {}) => Array.from({ length: count }, () => request(over))

/** One provider with one slot, in a class whose tasks run for a second. */
function busyBook(): Book {
  const book = openBook([1, 2])
  order(book, 1, many(30), T0)
  serve(book, 30, T0)
  return book
}

/** Tasks are done one after the other, a second each, from this moment on. @returns them in the order in which they were given out */
function serve(book: Book, count: number, from: number): string[] {
  const provider = book.providers.values().next().value ?? enrol(book, 1, T0)
  const served: string[] = []
  let results: ReturnType<typeof succeeded>[] = []
  for (let n = 0; n <= count; n++) {
    say(book, provider, { free: n < count ? 1 : 0, seen: provider.lastSeq, results }, from + n * 1000)
    for (const [id, { task }] of provider.leases) {
      served.push(task)
      results = [succeeded(id)]
    }
  }
  return served
}

test('a task at risk of its deadline goes before those whose turn is earlier', () => {
  const book = busyBook()
  order(book, 1, many(100), T0 + MINUTE)
  const [hasty] = order(book, 1, [request({ deadlineMs: 20_000 })], T0 + MINUTE)
  expect(serve(book, 10, T0 + MINUTE)).not.toContain(hasty)
  expect(serve(book, 9, T0 + MINUTE + 10_000)).toContain(hasty)
  expect(taskOf(book, hasty!).state.is).toBe('succeeded')
})

test('nothing is at risk before half of its time is over, nor while it is not known how long its class runs', () => {
  const book = busyBook()
  order(book, 1, many(30), T0 + MINUTE)
  const [short] = order(book, 1, [request({ deadlineMs: 2000 })], T0 + MINUTE)
  expect(serve(book, 1, T0 + MINUTE + 900)).not.toContain(short)

  const unknown = openBook([1, 2])
  order(unknown, 1, many(30), T0)
  const [late] = order(unknown, 1, [request({ deadlineMs: 1000 })], T0)
  expect(serve(unknown, 1, T0 + 900)).not.toContain(late)
})

test('who lets everything run into its deadlines gets two shares at the most', () => {
  const book = busyBook()
  order(book, 1, many(200, { deadlineMs: 2 * MINUTE }), T0 + MINUTE)
  order(book, 2, many(100), T0 + MINUTE)
  const from = T0 + MINUTE + 2 * MINUTE - 2000
  // All of the first are at risk from now on, and stay so, for the others' sake.
  for (const open of book.tasks.values()) if (open.task.spec.requester === requesterOf(1)) open.deadline += 10 * MINUTE
  const served = serve(book, 60, from).map((id) => taskOf(book, id).spec.requester)
  const theirs = served.filter((requester) => requester === requesterOf(2)).length
  expect(theirs).toBeGreaterThanOrEqual(19)
  expect(theirs).toBeLessThan(60)
})

test('a task that was at risk and failed goes first again', () => {
  const book = busyBook()
  order(book, 1, many(100), T0 + MINUTE)
  const [hasty] = order(book, 1, [request({ deadlineMs: 20_000 })], T0 + MINUTE)
  const provider = [...book.providers.values()][0]!
  const at = T0 + MINUTE + 18_500
  say(book, provider, { free: 1, seen: provider.lastSeq }, at)
  expect([...provider.leases.values()][0]!.task).toBe(hasty)
  const [lease] = provider.leases.keys()
  const broken = { lease: lease!, outcome: { status: 'returned' } } as const
  const other = enrol(book, 2, T0)
  say(book, provider, { free: 0, seen: provider.lastSeq, results: [broken] }, at)
  say(book, other, { free: 1 }, at)
  expect([...other.leases.values()][0]!.task).toBe(hasty)
})
