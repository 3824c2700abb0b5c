import { expect, test } from 'vitest'
import { type Book, nextDue, tick } from '#core/book.ts'
import type { Register } from '#core/protocol/provider.ts'
import type { Reputation } from '#core/reputation.ts'
import type { TaskRequest } from '#core/request.ts'
import { latencyView } from '#core/stats.ts'
import { networkSnapshot } from '#core/views.ts'
import { join, openBook, order, providerOf, request, say, succeeded, T0, taskOf } from '../support/book.ts'

const MINUTE = 60_000

/** A class whose tasks run for ten seconds, all done by provider 1. */
function learnedBook(): Book {
  const book = openBook()
  const provider = join(book, 1, T0)
  for (let n = 0; n < 50; n++) {
    order(book, 1, [request()], T0 + n * 10_000)
    const [lease] = provider.leases.keys()
    say(book, provider, { free: 1, seen: provider.lastSeq, results: [succeeded(lease!)] }, T0 + (n + 1) * 10_000)
  }
  return book
}

const LATER = T0 + 20 * MINUTE

/** A task that provider 1 begins. */
function begin(book: Book, over: Partial<TaskRequest> = {}): string {
  const [id] = order(book, 1, [request(over)], LATER)
  expect(taskOf(book, id!).attempts.map(({ provider }) => provider)).toEqual([providerOf(1)])
  return id!
}

/** Time passes, and who holds a lease renews it. */
function pass(book: Book, from: number, to: number): void {
  for (let now = from; now <= to; now += 1000) {
    for (const { leases } of book.providers.values())
      for (const lease of leases.values()) lease.expiresAt = now + 30_000
    tick(book, now)
  }
}

const idle = (book: Book, n = 2, over: Partial<Register> = {}) => join(book, n, LATER, over)
const attemptsAt = (book: Book, id: string) =>
  taskOf(book, id).attempts.map(({ provider, grantedAt }) => [provider, grantedAt - LATER])

test('an attempt that is later than its p95 has another beside it, by the best other that is free; the first result is paid', () => {
  const book = learnedBook()
  const id = begin(book)
  const other = idle(book)
  pass(book, LATER, LATER + 9000)
  expect(attemptsAt(book, id)).toHaveLength(1)
  pass(book, LATER + 9000, LATER + 20_000)
  const [, second] = attemptsAt(book, id)
  expect(second![0]).toBe(providerOf(2))
  expect(second![1]).toBeGreaterThan(9000)
  expect(second![1]).toBeLessThan(20_000)
  expect(networkSnapshot(book, LATER + 20_000).status).toMatchObject({ queued: 0, leased: 1, running: 0 })
  const fees = book.fees
  const [first] = [...book.providers.values()]
  expect(say(book, other, { free: 0, seen: 1, results: [succeeded(`${id}.2`)] }, LATER + 25_000)).toMatchObject([
    { accepted: true },
  ])
  expect(taskOf(book, id).state).toMatchObject({ is: 'succeeded', attempt: 2 })
  expect(first!.revoked).toEqual([`${id}.1`])
  expect(first!.failed).toBe(0)
  const paid = { fees: book.fees, earned: first!.earned }
  expect(paid.fees).toBeGreaterThan(fees)
  const [receipt] = say(
    book,
    first!,
    { free: 1, seen: first!.lastSeq, results: [succeeded(`${id}.1`)] },
    LATER + 26_000,
  )
  expect(receipt).toMatchObject({ accepted: false, code: 'task_finished' })
  expect({ fees: book.fees, earned: first!.earned }).toEqual(paid)
})

test('nobody has a second attempt whose requester wants it cheap, allows one attempt, asks for an assurance or streams', () => {
  for (const over of [
    { preference: 'cheapest' },
    { maxAttempts: 1 },
    { stream: true },
    { assurance: { level: 'spot' }, lot: 1 },
  ] satisfies Partial<TaskRequest>[]) {
    const book = learnedBook()
    const id = begin(book, over)
    idle(book)
    pass(book, LATER, LATER + 2 * MINUTE)
    expect(attemptsAt(book, id)).toHaveLength(1)
  }
})

test('nothing is late while it is not known how long its class runs, nor where nobody is free: then as soon as somebody is', () => {
  const unknown = openBook()
  join(unknown, 1, T0)
  const early = begin(unknown)
  idle(unknown)
  pass(unknown, LATER, LATER + 2 * MINUTE)
  expect(attemptsAt(unknown, early)).toHaveLength(1)

  const book = learnedBook()
  const id = begin(book)
  pass(book, LATER, LATER + MINUTE)
  expect(book.matching.queued).toBe(0)
  join(book, 2, LATER + MINUTE)
  pass(book, LATER + MINUTE, LATER + MINUTE + 6000)
  expect(attemptsAt(book, id)).toHaveLength(2)
})

test('the likelier its provider is to fail, the sooner an attempt is late', () => {
  const lateAfter = (failures: number): number => {
    const book = learnedBook()
    const id = begin(book)
    const [[name, known]] = [...book.providers.get(providerOf(1))!.reputations] as [[string, Reputation]]
    book.providers.get(providerOf(1))!.reputations.set(name, { ...known, failures })
    idle(book)
    pass(book, LATER, LATER + MINUTE)
    return attemptsAt(book, id)[1]![1] as number
  }
  expect(lateAfter(5000)).toBeLessThan(lateAfter(0))
})

test('a run that another overtook is learned as at least so long, so that what is late does not come earlier each time', () => {
  const book = learnedBook()
  const runs = () => latencyView(book.stats, { kind: 'text.embed', model: 'm' }).runP95Ms!
  const before = runs()
  begin(book)
  const other = idle(book)
  pass(book, LATER, LATER + 20_000)
  const [lease] = other.leases.keys()
  say(book, other, { free: 1, seen: 1, results: [succeeded(lease!)] }, LATER + 40_000)
  const { fast } = book.outlooks.get('text.embed m')!.eta.run!
  expect(fast).toBeGreaterThan(10_000 + 0.09 * 30_000)
  expect(runs()).toBeGreaterThanOrEqual(before)
})

test('a market is woken for attempts that may be late on whole seconds, so once a second at the most', () => {
  const book = learnedBook()
  begin(book)
  idle(book)
  expect(nextDue(book)).toBe(LATER + 5000)
  tick(book, LATER + 5000)
  expect(nextDue(book)! % 1000).toBe(0)
})
