import { expect, test } from 'vitest'
import { type Book, disconnect, MOST_DUE, nextDue, tick } from '#core/book.ts'
import { LEASE_MS } from '#core/lease.ts'
import { join, openBook, order, request, say, succeeded, T0, taskOf } from '../support/book.ts'

/** 100,000 of them take some seconds. */
const LEASES = Number(process.env.LEASES ?? 5_000)
const SLOTS = 50

test(`${LEASES} leases that end at once: each is lost once, some in a step, and given out again, and nobody is woken for nothing`, () => {
  const book = openBook([1])
  const requests = Array.from({ length: LEASES }, () => request({ deadlineMs: 3_600_000 }))
  const ids: string[] = []
  for (let n = 0; n < LEASES; n += 1_000) ids.push(...order(book, 1, requests.slice(n, n + 1_000), T0))
  const providers = Array.from({ length: LEASES / SLOTS }, (_, n) => join(book, n, T0, { slots: SLOTS, free: SLOTS }))
  expect(book.matching.queued).toBe(0)
  const told = providers.map(({ leases }) => [...leases.keys()].map((lease) => succeeded(lease)))
  for (const provider of providers) disconnect(book, provider)

  const late = T0 + LEASE_MS
  book.log = []
  const steps: number[] = []
  while (nextDue(book)! <= late) {
    const done = book.log.length
    const from = performance.now()
    tick(book, late)
    steps.push(performance.now() - from)
    expect(book.log.length - done).toBe(Math.min(MOST_DUE, LEASES - done))
  }
  expect(book.log).toHaveLength(LEASES)
  expect(book.log.every((event) => event.type === 'task' && event.event.type === 'lost')).toBe(true)
  expect(book.matching.queued).toBe(LEASES)
  expect(nextDue(book)).toBeGreaterThan(late)
  // What was lost and delivers after all counts, and what is left goes to others.
  for (const [n, provider] of providers.entries()) {
    say(book, provider, { seen: provider.lastSeq, results: told[n]!.filter((_, i) => i % 2 === 0) }, late + 1)
  }
  for (let n = providers.length; book.tasks.size > 0; n++) {
    const other = join(book, n, late + 2, { slots: SLOTS, free: SLOTS })
    const results = [...other.leases.keys()].map((lease) => succeeded(lease))
    expect(results.length).toBeGreaterThan(0)
    say(book, other, { seen: other.lastSeq, results }, late + 3)
  }
  expect(ids.map((id) => taskOf(book, id).state.is)).toEqual(new Array(LEASES).fill('succeeded'))
  expect(held(book)).toEqual([0n])
  if (process.env.LEASES) {
    const sum = steps.reduce((total, ms) => total + ms, 0)
    console.log(
      `${LEASES} leases were lost in ${Math.round(sum)} ms, in ${steps.length} steps of ${Math.round(Math.max(...steps))} ms at most`,
    )
  }
})

/** Tasks with many deadlines, some of them leased to a provider that is never heard of again. */
function waiting(): Book {
  const book = openBook([1])
  const requests = Array.from({ length: 60 }, (_, n) => request({ deadlineMs: 1_000 + ((n * 7_919) % 90) * 1_000 }))
  order(book, 1, requests, T0)
  disconnect(book, join(book, 1, T0, { slots: 20, free: 20 }))
  return book
}
const END = T0 + 200_000
const ends = (book: Book) => [...book.ended.values()].map(({ spec, state }) => [spec.id, state.is]).sort()
const held = (book: Book) => [...book.purses.values()].map((purse) => purse.held)

test('an alarm that comes late, never until somebody calls, or again and again brings about the same', () => {
  const [timely, late, repeated, called] = [waiting(), waiting(), waiting(), waiting()]
  for (let due = nextDue(timely); due !== null && due <= END; due = nextDue(timely)) tick(timely, due)
  tick(late, END)
  for (let at = T0; at <= END; at += 250) for (let again = 0; again < 3; again++) tick(repeated, at)
  order(called, 1, [request()], END)
  expect(ends(timely)).toHaveLength(60)
  for (const book of [late, repeated, called]) expect(ends(book)).toEqual(ends(timely))
  expect([held(timely), held(late), held(repeated)]).toEqual([[0n], [0n], [0n]])
  expect(nextDue(repeated)).toBeNull()
})
