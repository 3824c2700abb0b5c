/** What a fault of the edge costs its providers and requesters: nothing. */
import { expect, test } from 'vitest'
import { pardon } from '#core/book.ts'
import { parseAmount } from '#core/money.ts'
import { headOf, partsOf, restore } from '#core/snapshot.ts'
import { join, openBook, order, request, say, succeeded, T0 } from '../support/book.ts'

const PROVIDERS = 50
const EACH = 10
const TEN_MINUTES = 600_000

test('the edge is away for ten minutes with 500 leases out: none is lost, nobody is marked, all work is accepted and paid once', () => {
  const before = openBook()
  for (let n = 1; n <= PROVIDERS; n++) join(before, n, T0, { free: EACH, slots: EACH })
  order(
    before,
    1,
    Array.from({ length: PROVIDERS * EACH }, () => request({ deadlineMs: 60_000 })),
    T0,
  )
  const leases = (book: typeof before) => [...book.providers.values()].flatMap(({ leases }) => [...leases.keys()])
  expect(leases(before)).toHaveLength(PROVIDERS * EACH)

  const book = restore(structuredClone(headOf(before)), structuredClone([...partsOf(before)]), T0 + TEN_MINUTES)
  const now = T0 + TEN_MINUTES
  pardon(book, now)
  // Half of the providers come back late in the time that they are given, and some tell their results twice.
  for (const provider of book.providers.values()) {
    const late = provider.supply.seq % 2 === 0 ? 29_000 : 0
    const results = [...provider.leases.keys()].map((lease) => succeeded(lease))
    for (let time = 0; time <= provider.supply.seq % 3; time++) {
      const receipts = say(book, provider, { seen: EACH, results }, now + late)
      expect(receipts.filter(({ accepted }) => !accepted)).toEqual([])
    }
  }
  const ended = [...book.ended.values()]
  expect(ended.map(({ state, attempts }) => [state.is, attempts.length])).toEqual(ended.map(() => ['succeeded', 1]))
  expect(ended).toHaveLength(PROVIDERS * EACH)
  for (const { reputations, failed, succeeded } of book.providers.values()) {
    expect([failed, succeeded]).toEqual([0, EACH])
    expect([...reputations.values()]).toMatchObject([{ failures: 0, outcomes: EACH }])
  }
  const paid = [...book.purses.values()].reduce((sum, { captured }) => sum + captured, 0n)
  expect(paid).toBe(BigInt(PROVIDERS * EACH * 2) * parseAmount('0.0000000000000001'))
  expect([...book.purses.values()].map(({ held }) => held)).toEqual([0n])
})
