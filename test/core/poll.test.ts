import { expect, test } from 'vitest'
import { disconnect, tick } from '#core/book.ts'
import { LEASE_MS } from '#core/lease.ts'
import { cancel } from '#core/market.ts'
import { leasesAfter } from '#core/views.ts'
import {
  enrol,
  failed,
  holderOf,
  join,
  openBook,
  order,
  providerOf,
  request,
  returned,
  say,
  succeeded,
  T0,
  taskOf,
} from '../support/book.ts'

test('a lease whose answer was lost is told again, as it was, until it is seen', () => {
  const book = openBook()
  const [id] = order(book, 1, [request()], T0)
  const provider = enrol(book, 1, T0)
  say(book, provider, { free: 1 }, T0)
  const told = leasesAfter(book, provider, 0)
  expect(told).toMatchObject([{ id: `${id}.1`, seq: 1, input: { texts: ['hello'] }, maxUnits: 2 }])
  say(book, provider, { free: 1 }, T0 + 1000)
  expect(leasesAfter(book, provider, 0)).toMatchObject([{ id: `${id}.1`, seq: 1 }])
  say(book, provider, { free: 0, seen: 1, renew: [`${id}.1`] }, T0 + 2000)
  expect(leasesAfter(book, provider, 1)).toEqual([])
  expect(taskOf(book, id!).state.is).toBe('running')
})

test('leases that wait to be told again take up room', () => {
  const book = openBook()
  order(book, 1, [request(), request(), request()], T0)
  const provider = enrol(book, 1, T0)
  say(book, provider, { free: 2 }, T0)
  say(book, provider, { free: 2 }, T0 + 1)
  expect(provider.leases.size).toBe(2)
  say(book, provider, { free: 1, seen: 2, renew: [...provider.leases.keys()] }, T0 + 2)
  expect(provider.leases.size).toBe(3)
})

test('a provider that can take nothing now is given nothing, whatever it could take before', () => {
  const book = openBook()
  const [id] = order(book, 1, [request()], T0)
  const first = enrol(book, 1, T0)
  say(book, first, { free: 1 }, T0)
  const leaving = join(book, 2, T0, { free: 1 })
  // The first's lease is over at this very moment, and the second comes to say that it is leaving.
  say(book, leaving, { free: 0 }, T0 + LEASE_MS)
  expect(leaving.leases.size).toBe(0)
  expect(holderOf(book, id!)).toBeNull()
})

test('a lease that was seen and is neither renewed nor answered goes to another provider at once', () => {
  const book = openBook()
  const [id] = order(book, 1, [request()], T0)
  const forgetful = enrol(book, 1, T0)
  say(book, forgetful, { free: 1 }, T0)
  join(book, 2, T0)
  say(book, forgetful, { free: 1, seen: 1 }, T0 + 1000)
  expect(holderOf(book, id!)).toBe(providerOf(2))
  expect(taskOf(book, id!).attempts.map(({ state }) => state.is)).toEqual(['lost', 'granted'])
  expect(forgetful.revoked).toContain(`${id}.1`)
})

test('leases of tasks that were cancelled, have ended or went elsewhere are told to stop', () => {
  const book = openBook()
  const [cancelled, late] = order(book, 1, [request(), request()], T0)
  const provider = enrol(book, 1, T0)
  say(book, provider, { free: 2 }, T0)
  const [first, second] = [...provider.leases.keys()]
  cancel(book, cancelled!, T0 + 1)
  expect(provider.revoked).toEqual([first])
  provider.revoked = []
  tick(book, T0 + LEASE_MS)
  expect(provider.revoked).toEqual([second])
  provider.revoked = []
  say(book, provider, { free: 0, seen: 2, renew: [first!, second!] }, T0 + LEASE_MS + 1)
  expect(provider.revoked).toEqual([first, second])
  expect(taskOf(book, late!).state.is).toBe('queued')
})

test('renewing or answering the lease of another provider, or one that never was, changes nothing', () => {
  const book = openBook()
  const [id] = order(book, 1, [request()], T0)
  const holder = enrol(book, 1, T0)
  say(book, holder, { free: 1 }, T0)
  const thief = enrol(book, 2, T0)
  const written = book.log.length
  const foreign = [`${id}.1`, `${id}.2`, `${id}.0`, 'nonsense', '.1']
  const receipts = say(
    book,
    thief,
    { results: foreign.map((lease) => succeeded(lease)), renew: foreign },
    T0 + LEASE_MS - 1,
  )
  expect(receipts).toEqual(foreign.map((lease) => ({ lease, accepted: false, code: 'lease_not_found' })))
  expect(thief.revoked).toEqual(foreign)
  expect(book.log).toHaveLength(written)
  tick(book, T0 + LEASE_MS)
  expect(taskOf(book, id!).state.is).toBe('queued')
})

test('a result sent twice, in one call or in two, is accepted twice and paid once', () => {
  const book = openBook()
  const [id] = order(book, 1, [request()], T0)
  const provider = enrol(book, 1, T0)
  say(book, provider, { free: 1 }, T0)
  const lease = `${id}.1`
  const twice = say(book, provider, { seen: 1, results: [succeeded(lease), succeeded(lease)] }, T0 + 1)
  const again = say(book, provider, { seen: 1, results: [succeeded(lease)] }, T0 + 2)
  expect([...twice, ...again]).toEqual(Array.from({ length: 3 }, () => ({ lease, accepted: true })))
  expect(provider.succeeded).toBe(1)
  expect(provider.earned + book.fees).toBe(200n)
})

test('a result is refused with the reason: it came from an attempt that is over, of a task that has ended, or of one long gone', () => {
  const book = openBook()
  const [first, second] = order(book, 1, [request(), request()], T0)
  const provider = enrol(book, 1, T0)
  say(book, provider, { free: 2 }, T0)
  say(book, provider, { seen: 2, results: [failed(`${first}.1`)], renew: [`${second}.1`] }, T0 + 1)
  cancel(book, second!, T0 + 2)
  const results = [succeeded(`${first}.1`), succeeded(`${second}.1`), succeeded('c1-0abcdefghabcdefgh.1')]
  const codes = say(book, provider, { seen: 2, results }, T0 + 3).map(({ accepted, code }) => !accepted && code)
  expect(codes).toEqual(['attempt_over', 'task_finished', 'task_finished'])
  expect(provider.earned).toBe(0n)
})

test.each<[string, Record<string, unknown>]>([
  ['of another kind', { text: 'x', confidence: 1 }],
  ['with a field too many', { embeddings: [[1]], extra: 1 }],
  ['with a wrong type', { embeddings: [['one']] }],
  ['empty', {}],
  ['too large', { embeddings: [Array.from({ length: 100_000 }, () => 0.5)] }],
])('an output %s fails its attempt, and its provider is not paid', (_, output) => {
  const book = openBook()
  const [id] = order(book, 1, [request({ maxAttempts: 1 })], T0)
  const provider = enrol(book, 1, T0)
  say(book, provider, { free: 1 }, T0)
  expect(say(book, provider, { seen: 1, results: [succeeded(`${id}.1`, output)] }, T0 + 1)).toEqual([
    { lease: `${id}.1`, accepted: true },
  ])
  expect(taskOf(book, id!).state).toMatchObject({ is: 'failed', error: { code: 'invalid_output' } })
  expect(provider.earned).toBe(0n)
})

test('a task that failed goes to another provider first, and back to the one that failed it after a while', () => {
  const book = openBook()
  const [id] = order(book, 1, [request({ maxAttempts: 5 })], T0)
  const first = enrol(book, 1, T0)
  say(book, first, { free: 1 }, T0)
  say(book, first, { free: 1, seen: 1, results: [failed(`${id}.1`)] }, T0)
  expect(holderOf(book, id!)).toBeNull()
  tick(book, T0 + 1999)
  expect(holderOf(book, id!)).toBeNull()
  tick(book, T0 + 2000)
  expect(holderOf(book, id!)).toBe(providerOf(1))
  say(book, first, { free: 1, seen: 2, results: [failed(`${id}.2`)] }, T0 + 2000)
  join(book, 2, T0 + 2001)
  expect(holderOf(book, id!)).toBe(providerOf(2))
})

test('a lease handed back unharmed goes to another provider and costs nobody anything', () => {
  const book = openBook()
  const [id] = order(book, 1, [request({ maxAttempts: 1 })], T0)
  const leaving = enrol(book, 1, T0)
  say(book, leaving, { free: 1 }, T0)
  join(book, 2, T0)
  say(book, leaving, { free: 0, seen: 1, results: [returned(`${id}.1`)] }, T0 + 1)
  expect(holderOf(book, id!)).toBe(providerOf(2))
  expect(leaving).toMatchObject({ succeeded: 0, failed: 0 })
})

test('a provider that registers again keeps its leases and is told them anew', () => {
  const book = openBook()
  const [id] = order(book, 1, [request()], T0)
  const before = enrol(book, 1, T0)
  say(book, before, { free: 1 }, T0)
  say(book, before, { free: 0, seen: 1, renew: [`${id}.1`] }, T0 + 1)
  const after = enrol(book, 1, T0 + 2, { slots: 8 })
  say(book, after, { free: 8 }, T0 + 3)
  expect(leasesAfter(book, after, 0).map((lease) => lease.id)).toEqual([`${id}.1`])
  expect(say(book, after, { results: [succeeded(`${id}.1`)] }, T0 + 4)[0]).toMatchObject({ accepted: true })
  expect(book.providers.size).toBe(1)
})

test('a provider that cannot be reached is handed nothing until it comes back', () => {
  const book = openBook()
  const provider = join(book, 1, T0)
  disconnect(book, provider)
  const [id] = order(book, 1, [request()], T0)
  expect(holderOf(book, id!)).toBeNull()
  say(book, provider, { free: 1 }, T0 + 1)
  expect(holderOf(book, id!)).toBe(providerOf(1))
})
