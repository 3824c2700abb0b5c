import { expect, test } from 'vitest'
import type { Book } from '#core/book.ts'
import { latestDecisions } from '#core/decision.ts'
import { score } from '#core/reputation.ts'
import type { TaskRequest } from '#core/request.ts'
import { why } from '#core/why.ts'
import {
  enrol,
  failed,
  join,
  openBook,
  order,
  providerOf,
  request,
  say,
  succeeded,
  T0,
  taskOf,
} from '../support/book.ts'

const CLASS = 'text.embed m'
const VETERANS = 9
const NEWCOMER = VETERANS + 1
const DAY = Math.floor(T0 / 86_400_000)

/** A market whose providers are as well known as can be, and have room for more than there is. */
function settledBook(): Book {
  const book = openBook()
  for (let n = 1; n <= VETERANS; n++) {
    const known = { successes: 500, failures: 0, day: DAY, outcomes: 500, streak: 500 }
    enrol(book, n, T0).reputations.set(CLASS, known)
    join(book, n, T0, { free: 4 })
  }
  return book
}

/** One task comes and is done, or `fails` for its first provider. @returns who had it first */
function serve(
  book: Book,
  fails: (provider: string) => boolean = () => false,
  over: Partial<TaskRequest> = {},
): string {
  const now = T0 + book.lastTask * 20
  const [id] = order(book, 1, [request(over)], now)
  const first = taskOf(book, id!).attempts[0]!.provider
  for (let lease = leaseOf(book, id!); lease; lease = leaseOf(book, id!)) {
    const provider = book.providers.get(lease.provider)!
    const result = fails(lease.provider) ? failed(lease.id) : succeeded(lease.id)
    say(book, provider, { free: 4, seen: provider.lastSeq, results: [result] }, now)
  }
  book.log = []
  book.ended.clear()
  book.news = { ended: [], changed: [], providers: new Set() }
  return first
}

function leaseOf(book: Book, id: string) {
  const state = book.tasks.get(id)?.task.state
  if (state?.is !== 'leased') return null
  return { id: `${id}.${state.attempt}`, provider: taskOf(book, id).attempts[state.attempt - 1]!.provider }
}

const scoreOf = (book: Book, n: number) => {
  const known = book.providers.get(providerOf(n))!.reputations.get(CLASS)
  return known ? score(known) : 0
}

test('an honest newcomer is in the top half after 262 tasks of its own, of which it has one in sixteen of its class', () => {
  const book = settledBook()
  join(book, NEWCOMER, T0, { free: 4 })
  const median = scoreOf(book, 5)
  let [tasks, own] = [0, 0]
  for (; scoreOf(book, NEWCOMER) < median; tasks++) if (serve(book) === providerOf(NEWCOMER)) own++
  expect(own).toBe(262)
  expect(tasks).toBeGreaterThan(16 * 262 * 0.8)
  expect(tasks).toBeLessThan(16 * 262 * 1.2)
})

test('a trial is told as one', () => {
  const book = settledBook()
  join(book, NEWCOMER, T0, { free: 4 })
  while (serve(book) !== providerOf(NEWCOMER));
  expect(latestDecisions(book)[0]).toMatchObject({ rule: 'trial', provider: providerOf(NEWCOMER) })
  // The others did not lose it by anything that they could change.
  const best = book.providers.get(providerOf(1))!
  const { tasks, won, missed } = why(book, best, T0).offers[0]!.recent
  expect([tasks, missed]).toEqual([won, 0])
})

test('who asks for a reputation tries nobody, nor does anybody pay more for a trial', () => {
  const book = settledBook()
  join(book, NEWCOMER, T0, { free: 4 })
  for (let n = 0; n < 100; n++) expect(serve(book, undefined, { minReputation: 0.1 })).not.toBe(providerOf(NEWCOMER))
  join(book, NEWCOMER, T0, {
    free: 4,
    offers: [{ kind: 'text.embed', model: 'm', ask: '0.00000000000000011', speed: 10 }],
  })
  for (let n = 0; n < 100; n++) expect(serve(book)).not.toBe(providerOf(NEWCOMER))
})

test('one that fails at once is tried no more, and a new address every time gets one task in sixteen at the most', () => {
  const book = settledBook()
  join(book, NEWCOMER, T0, { free: 4 })
  const bad = (provider: string) => provider >= providerOf(NEWCOMER)
  let own = 0
  for (let n = 0; n < 500; n++) if (serve(book, bad) === providerOf(NEWCOMER)) own++
  expect(own).toBe(1)

  own = 0
  for (let [n, newcomer] = [0, NEWCOMER]; n < 1600; n++) {
    if (serve(book, bad) === providerOf(newcomer) || n === 0) join(book, ++newcomer, T0, { free: 4 })
    own = newcomer - NEWCOMER - 1
  }
  expect(own).toBeGreaterThan(70)
  expect(own).toBeLessThan(130)
})
