import { expect, test } from 'vitest'
import { type Book, disconnect } from '#core/book.ts'
import { DomainError } from '#core/errors.ts'
import { noteGrant } from '#core/grants.ts'
import { submit } from '#core/market.ts'
import { purseId } from '#core/purse.ts'
import { makeTaskId } from '#core/task-id.ts'
import { join, openBook, request, requesterOf, say, succeeded, T0 } from '../support/book.ts'

const SLOTS = 4
const RUN_MS = 1_000
const DEADLINE_MS = 20_000

/** Submits a task with an id that tells when. @returns its id, or the error with which it was refused */
function ask(
  book: Book,
  requester: number,
  at: number,
  over: Parameters<typeof request>[0] = {},
): string | DomainError {
  const newId = (createdAt: number) => makeTaskId('c1', createdAt, String(book.lastTask).padStart(10, '0'))
  const own = { requester: requesterOf(requester), purse: purseId(requesterOf(requester), 'session'), newId }
  const requests = [request({ deadlineMs: DEADLINE_MS, maxAttempts: 10, ...over })]
  try {
    const result = submit(book, { ...own, requests }, at)
    if ('short' in result) throw new Error('the purse is short')
    return result.tasks[0]!.spec.id
  } catch (error) {
    if (error instanceof DomainError) return error
    throw error
  }
}

/**
 * Lets time go by in steps of 50 ms, a provider of four slots at work on tasks of a second each.
 * @param asked what is submitted at a step
 * @returns results that were accepted and refused
 */
function work(book: Book, steps: number, asked: (at: number, step: number) => void, from = T0) {
  const provider = join(book, 1, from, { slots: SLOTS, free: SLOTS })
  const running = new Map<string, number>()
  const told = { accepted: 0, refused: 0 }
  let seen = 0
  for (let step = 0; step < steps; step++) {
    const at = from + step * 50
    asked(at, step)
    const done = [...running].filter(([, until]) => until <= at).map(([lease]) => lease)
    for (const lease of done) running.delete(lease)
    const call = { free: SLOTS - running.size, seen, renew: [...running.keys()] }
    const receipts = say(book, provider, { ...call, results: done.map((lease) => succeeded(lease)) }, at)
    for (const { accepted } of receipts) told[accepted ? 'accepted' : 'refused']++
    for (const lease of provider.leases.keys()) if (!running.has(lease)) running.set(lease, at + RUN_MS)
    seen = provider.lastSeq
  }
  return { provider, ...told }
}

test('asked for five times what can be done, a market does all that can be done, in time, and refuses the rest at once', () => {
  const book = openBook([1, 2])
  const asked = { taken: 0, refused: [] as DomainError[] }
  const { accepted, refused } = work(book, 2_400, (at, step) => {
    const answer = ask(book, 1 + (step % 2), at)
    if (answer instanceof DomainError) asked.refused.push(answer)
    else asked.taken++
  })
  // In 120 s it can do 480.
  expect(accepted).toBeGreaterThan(0.95 * 480)
  expect(refused).toBe(0)
  expect(asked.taken).toBeLessThan(480 + (SLOTS * DEADLINE_MS) / RUN_MS)
  for (const { code, details } of asked.refused) {
    expect(code).toBe('overloaded')
    expect(details.retryAfterSeconds).toBeGreaterThan(0)
    expect(details.retryAfterSeconds).toBeLessThanOrEqual(60)
  }
})

test('one who asks for far too much is refused; who asks for little beside it never is, and waits no longer than for a slot', () => {
  const book = openBook([1, 2])
  const refused = { heavy: 0, light: 0 }
  const light = new Map<string, number>()
  const waits: number[] = []
  work(book, 1_200, (at, step) => {
    if (ask(book, 1, at) instanceof DomainError) refused.heavy++
    if (step % 20 === 0) {
      const id = ask(book, 2, at)
      if (id instanceof DomainError) refused.light++
      else light.set(id, at)
    }
    for (const [id, since] of light) {
      if (book.tasks.get(id)?.task.state.is === 'queued') continue
      light.delete(id)
      waits.push(at - since)
    }
  })
  expect(refused.heavy).toBeGreaterThan(800)
  expect(refused.light).toBe(0)
  expect(waits.length).toBeGreaterThan(50)
  expect(Math.max(...waits)).toBeLessThanOrEqual(RUN_MS + 100)
})

test('a queue is no reason to refuse while nothing is known of its pace, while its tasks may wait, or while somebody has room', () => {
  const book = openBook([1])
  const taken = (at: number, over: Parameters<typeof request>[0] = {}) =>
    expect(ask(book, 1, at, over)).toEqual(expect.any(String))
  // Nobody was there yet.
  for (let n = 0; n < 100; n++) taken(T0)
  const { provider } = work(book, 100, () => {}, T0 + 1)
  const later = T0 + 6_000
  expect(ask(book, 1, later)).toMatchObject({ code: 'overloaded' })
  taken(later, { deadlineMs: 600_000 })
  // What is left can be run by nobody.
  for (const { want } of book.tasks.values()) want.minReputation = 1
  disconnect(book, provider)
  expect(ask(book, 1, later + 1_000)).toMatchObject({ code: 'overloaded' })
  join(book, 2, later + 2_000, { free: 100 })
  taken(later + 2_001)
})

test('second attempts beside late ones do not make the queue look faster than it is', () => {
  const refusal = (late: number) => {
    const book = openBook([1])
    for (let n = 0; n < 100; n++) ask(book, 1, T0)
    const { provider } = work(book, 100, () => {}, T0 + 1)
    const { offers } = provider.supply
    for (const { want } of [...book.tasks.values()].slice(0, late)) {
      noteGrant(book.grants, { want, supply: provider.supply, offer: offers[0]!, rule: 'late', at: T0 + 5_900 })
    }
    return ask(book, 1, T0 + 6_000)
  }
  expect(refusal(0)).toMatchObject({ code: 'overloaded' })
  expect(refusal(50)).toEqual(refusal(0))
})
