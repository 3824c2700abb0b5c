import { expect, test } from 'vitest'
import type { Provider } from '#core/book.ts'
import { earningsOf } from '#core/device-earnings.ts'
import { parseAmount, splitFee } from '#core/money.ts'
import type { Result } from '#core/protocol/lease.ts'
import type { Device } from '#core/protocol/provider.ts'
import { LIMITS } from '#core/protocol/values.ts'
import { enrol, join, openBook, order, registration, request, say, succeeded, T0 } from '../support/book.ts'

const device = (id: string): Device => ({ id, kind: 'nvidia', name: `card ${id}`, memoryBytes: 1 })
const made = (lease: string, devices?: string[]): Result => {
  const { outcome, ...result } = succeeded(lease)
  return { ...result, outcome: { ...outcome, ...(devices && { devices }) } as Result['outcome'] }
}
const shown = (provider: Provider) => {
  const { earned, devices, unknown } = earningsOf(provider)
  const parts = [...devices.map((one) => one.earned), unknown].map(parseAmount)
  expect(parts.reduce((sum, part) => sum + part)).toBe(parseAmount(earned))
  expect(parseAmount(earned)).toBe(provider.earned)
  return { devices: devices.map(({ id, tasks, earned }) => [id, tasks, parseAmount(earned)]), unknown: parts.at(-1) }
}

/** A book with one provider of these devices, and a task of its done and paid, by the devices that its result names. */
function market(ids: string[]) {
  const book = openBook()
  const provider = join(book, 1, T0, { devices: ids.map(device), free: 0 })
  const work = (named?: string[]) => {
    const [id] = order(book, 1, [request()], T0)
    say(book, provider, { free: 1 }, T0)
    const lease = `${id}.1`
    const answer = say(book, provider, { seen: provider.lastSeq, results: [made(lease, named)] }, T0)
    expect(answer).toEqual([{ lease, accepted: true }])
    return { lease }
  }
  return { book, provider, work }
}

/** What a task of the market earns, at two units. */
const ONE = splitFee(200n).earned

test('each device has earned what its results were paid, and what is not known is the rest', () => {
  const { provider, work } = market(['a', 'b'])
  for (const named of [['a'], ['a'], ['b'], undefined]) work(named)
  expect(shown(provider)).toEqual({
    devices: [
      ['a', 2, 2n * ONE],
      ['b', 1, ONE],
    ],
    unknown: ONE,
  })
  expect(earningsOf(provider).devices[0]).toMatchObject({ kind: 'nvidia', name: 'card a' })
})

test('a result is counted once, however often it comes', () => {
  const { book, provider, work } = market(['a'])
  const { lease } = work(['a'])
  for (let again = 0; again < 3; again++) say(book, provider, { results: [made(lease, ['a'])] }, T0)
  book.ended.clear()
  say(book, provider, { results: [made(lease, ['a'])] }, T0)
  expect(shown(provider)).toEqual({ devices: [['a', 1, ONE]], unknown: 0n })
})

test('devices that worked together share what they earned, to the last unit', () => {
  const { provider, work } = market(['a', 'b', 'c', 'd'])
  work(['d', 'a', 'd', 'b', 'c'])
  expect(ONE % 4n).not.toBe(0n)
  const { devices, unknown } = shown(provider)
  expect(devices.map(([, tasks]) => tasks)).toEqual([1, 1, 1, 1])
  for (const [, , earned] of devices) expect([ONE / 4n, ONE / 4n + 1n]).toContain(earned)
  expect(unknown).toBe(0n)
})

test('a device that is not registered counts for nobody, and the work is paid all the same', () => {
  const { provider, work } = market(['a'])
  work(['x'])
  work(['a', 'x'])
  expect(shown(provider)).toEqual({ devices: [['a', 0, 0n]], unknown: 2n * ONE })
})

test('a device that is there no more keeps what it earned, until so many others need its place', () => {
  const { book, provider, work } = market(['a'])
  work(['a'])
  const others = Array.from({ length: LIMITS.devices }, (_, i) => `other ${i}`)
  enrol(book, 1, T0, { devices: others.map(device) })
  for (const id of others.slice(1)) work([id])
  expect(shown(provider).devices.at(-1)).toEqual(['a', 1, ONE])
  expect(earningsOf(provider).devices.at(-1)).toMatchObject({ kind: null, name: null })
  work([others[0]!])
  const { devices, unknown } = shown(provider)
  expect(devices).toHaveLength(LIMITS.devices)
  expect(devices.every(([, tasks]) => tasks === 1)).toBe(true)
  expect(unknown).toBe(ONE)
})

test('of a quorum each result earns for the devices that made it', () => {
  const { book, provider } = market(['a'])
  const second = join(book, 2, T0, { ...registration({ devices: [device('z')] }), free: 0 })
  const [id] = order(book, 1, [request({ assurance: { level: 'quorum', n: 2, k: 2 } })], T0)
  for (const [one, lease, ids] of [
    [provider, `${id}.1`, ['a']],
    [second, `${id}.2`, ['z']],
  ] as const) {
    say(book, one, { free: 1 }, T0)
    say(book, one, { seen: one.lastSeq, results: [made(lease, [...ids])] }, T0)
  }
  expect(shown(provider)).toEqual({ devices: [['a', 1, ONE]], unknown: 0n })
  expect(shown(second)).toEqual({ devices: [['z', 1, ONE]], unknown: 0n })
})
