import { expect, test } from 'vitest'
import { breakOff, expireSoon, leaseOf, nextDue, pardon, tick } from '#core/book.ts'
import { GRACE_MS, LEASE_MS } from '#core/lease.ts'
import { leasesAfter } from '#core/views.ts'
import {
  holderOf,
  join,
  openBook,
  order,
  providerOf,
  request,
  say,
  succeeded,
  T0,
  taskOf,
  vanish,
} from '../support/book.ts'

test('a lease expires by the clock, exactly once, and its task goes to another provider', () => {
  const book = openBook()
  join(book, 1, T0)
  const [id] = order(book, 1, [request()], T0)
  join(book, 2, T0)
  tick(book, T0 + LEASE_MS - 1)
  expect(holderOf(book, id!)).toBe(providerOf(1))
  expect(nextDue(book)).toBe(T0 + LEASE_MS)
  tick(book, T0 + LEASE_MS)
  tick(book, T0 + LEASE_MS)
  tick(book, T0 + LEASE_MS + 1)
  expect(taskOf(book, id!).attempts.map(({ provider, state }) => [provider, state.is])).toEqual([
    [providerOf(1), 'lost'],
    [providerOf(2), 'granted'],
  ])
})

test('a lease that is renewed lasts as long again from then', () => {
  const book = openBook()
  const provider = join(book, 1, T0)
  const [id] = order(book, 1, [request()], T0)
  for (let now = T0; now < T0 + 5 * LEASE_MS; now += LEASE_MS - 1) {
    tick(book, now)
    say(book, provider, { seen: 1, renew: [`${id}.1`] }, now)
  }
  expect(taskOf(book, id!).attempts).toHaveLength(1)
  expect(nextDue(book)).toBeLessThanOrEqual(leaseOf(book, book.tasks.get(id!)!)!.expiresAt)
})

test('a renewal or a result that comes before the clock was looked at is not late', () => {
  const book = openBook()
  const provider = join(book, 1, T0, { free: 2 })
  const [one, two] = order(book, 1, [request(), request()], T0)
  const now = T0 + 2 * LEASE_MS
  const receipts = say(book, provider, { seen: 2, renew: [`${one}.1`], results: [succeeded(`${two}.1`)] }, now)
  expect(receipts).toEqual([{ lease: `${two}.1`, accepted: true }])
  expect(taskOf(book, one!).state.is).toBe('running')
})

test('a task expires at its deadline whether it waits or runs, and its money comes free', () => {
  const book = openBook()
  const provider = join(book, 1, T0)
  const [runs, waits] = order(book, 1, [request({ deadlineMs: 5000 }), request({ deadlineMs: 5000 })], T0)
  tick(book, T0 + 4999)
  expect(taskOf(book, runs!).state.is).toBe('leased')
  expect(taskOf(book, waits!).state.is).toBe('queued')
  tick(book, T0 + 5000)
  for (const id of [runs!, waits!]) expect(taskOf(book, id).state).toEqual({ is: 'expired', at: T0 + 5000 })
  expect(provider.revoked).toEqual([`${runs}.1`])
  expect([...book.purses.values()].map(({ held }) => held)).toEqual([0n])
  expect(nextDue(book)).toBeNull()
})

test('after an outage every lease has its full time again, and what runs does not expire before that', () => {
  const book = openBook()
  const provider = join(book, 1, T0, { free: 2 })
  const [short, long, waits] = order(
    book,
    1,
    [request({ deadlineMs: 60_000 }), request(), request({ deadlineMs: 60_000 })],
    T0,
  )
  const back = T0 + 100_000
  pardon(book, back)
  tick(book, back)
  expect(taskOf(book, short!).state.is).toBe('leased')
  expect(taskOf(book, long!).state.is).toBe('leased')
  expect(taskOf(book, waits!).state.is).toBe('expired')
  tick(book, back + LEASE_MS - 1)
  expect(provider.leases.size).toBe(2)
  const results = [succeeded(`${short}.1`), succeeded(`${long}.1`)]
  say(book, provider, { seen: 2, results }, back + LEASE_MS - 1)
  expect(taskOf(book, short!).state.is).toBe('succeeded')
  expect(provider).toMatchObject({ succeeded: 2, failed: 0 })
})

test('a provider that never comes back after an outage loses its leases one lease time later', () => {
  const book = openBook()
  join(book, 1, T0)
  const [id] = order(book, 1, [request()], T0)
  const back = T0 + 100_000
  pardon(book, back)
  tick(book, back + LEASE_MS)
  expect(taskOf(book, id!).state.is).toBe('queued')
})

test('the tasks of a provider that vanished go to another after the grace', () => {
  const book = openBook()
  const gone = join(book, 1, T0)
  const [id] = order(book, 1, [request()], T0)
  join(book, 2, T0)
  vanish(book, gone, T0 + 1000)
  tick(book, T0 + 1000 + GRACE_MS - 1)
  expect(holderOf(book, id!)).toBe(providerOf(1))
  tick(book, T0 + 1000 + GRACE_MS)
  expect(holderOf(book, id!)).toBe(providerOf(2))
})

test('a provider that comes back within the grace and renews keeps its leases', () => {
  const book = openBook()
  const provider = join(book, 1, T0)
  const [id] = order(book, 1, [request()], T0)
  vanish(book, provider, T0 + 1000)
  say(book, provider, { seen: 1, renew: [`${id}.1`] }, T0 + 1000 + GRACE_MS - 1)
  tick(book, T0 + 1000 + GRACE_MS + LEASE_MS / 2)
  expect(taskOf(book, id!).attempts).toHaveLength(1)
  expect(taskOf(book, id!).state.is).toBe('running')
})

test('a lease whose answer was lost with the connection is told again with its full time', () => {
  const book = openBook()
  const provider = join(book, 1, T0)
  order(book, 1, [request()], T0)
  vanish(book, provider, T0 + 10)
  const now = T0 + 1000
  say(book, provider, { free: 1 }, now)
  expect(leasesAfter(book, provider, 0)).toMatchObject([{ expiresAt: now + LEASE_MS }])
  tick(book, now + LEASE_MS - 1)
  expect(provider.leases.size).toBe(1)
})

test('vanishing never gives a lease more time than it had', () => {
  const book = openBook()
  const provider = join(book, 1, T0)
  order(book, 1, [request()], T0)
  expireSoon(book, provider, T0 + LEASE_MS - 1)
  expect([...provider.leases.values()][0]!.expiresAt).toBe(T0 + LEASE_MS)
})

test('leases that are over when the clock is looked at late end in the order of their times', () => {
  const book = openBook()
  const renewing = join(book, 1, T0)
  const [first] = order(book, 1, [request()], T0)
  join(book, 2, T0 + 5000)
  const [second] = order(book, 1, [request()], T0 + 5000)
  say(book, renewing, { seen: 1, renew: [`${first}.1`] }, T0 + 10_000)
  tick(book, T0 + 60_000)
  const lost = book.log.flatMap((event) => (event.type === 'task' && event.event.type === 'lost' ? [event.id] : []))
  expect(lost).toEqual([second, first])
})

test('a stream whose provider vanished is given on at once when its output broke off too, whichever came first', () => {
  for (const first of ['output', 'socket']) {
    const book = openBook()
    const provider = join(book, 1, T0)
    const [id] = order(book, 1, [request({ stream: true })], T0)
    const cut = () => breakOff(book, id!, 1, T0 + 5)
    if (first === 'output') cut()
    vanish(book, provider, T0 + 5)
    if (first === 'socket') cut()
    tick(book, T0 + 5)
    expect(taskOf(book, id!).state).toMatchObject({ is: 'sealing', attempt: 1, next: { is: 'queued' } })
  }
})

test('output that breaks off while its provider is there costs no lease, and is forgotten when it is heard of again', () => {
  const book = openBook()
  const provider = join(book, 1, T0)
  const [id] = order(book, 1, [request({ stream: true })], T0)
  breakOff(book, id!, 1, T0 + 5)
  breakOff(book, id!, 2, T0 + 5)
  tick(book, T0 + LEASE_MS - 1)
  expect(holderOf(book, id!)).toBe(providerOf(1))
  say(book, provider, { seen: 1, renew: [`${id}.1`] }, T0 + 10)
  vanish(book, provider, T0 + 20)
  tick(book, T0 + 20 + GRACE_MS - 1)
  expect(holderOf(book, id!)).toBe(providerOf(1))
})
