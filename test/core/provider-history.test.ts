import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Address } from '#core/protocol/values.ts'
import { historyOf, type ProviderTally, providerTallies } from '#core/provider-history.ts'
import { hourOf, type TaskRecord } from '#core/public-log.ts'
import { interval, pooled, type Reputations, recount } from '#core/reputation.ts'
import { providerOf } from '../support/book.ts'
import { holds } from '../support/property.ts'

const HOUR = 3_600_000
const FROM = 20_000 * 24

type Attempt = TaskRecord['attempts'][number]
const STATES: Attempt['state'][] = ['succeeded', 'failed', 'lost', 'refuted', 'superseded']

const attempt = (n: number, state: Attempt['state'], price?: string): Attempt => ({
  provider: providerOf(n),
  state,
  grantedAt: 1,
  ...(price !== undefined && { price }),
})

function record(at: number, attempts: Attempt[], model = 'm'): TaskRecord {
  const status = attempts.some(({ state }) => state === 'succeeded') ? 'succeeded' : 'failed'
  return { id: 'c1-0mh2k3l4m0123456789', kind: 'text.embed', model, status, createdAt: 1, finishedAt: at, attempts }
}

test('an hour tells what a provider did, what of it was held against others, what was refuted and what was paid for it', () => {
  const tallies = providerTallies([
    record(1, [attempt(1, 'succeeded', '0.25')]),
    record(2, [attempt(1, 'succeeded', '0.5'), attempt(2, 'succeeded', '0.5'), attempt(3, 'refuted')]),
    record(3, [attempt(2, 'failed'), attempt(1, 'succeeded', '1')]),
    // Nobody has shown that it can be done, but what was delivered of it is paid.
    record(4, [attempt(3, 'lost', '0.125')]),
    record(5, [attempt(4, 'superseded'), attempt(1, 'succeeded')]),
  ])
  const none = { succeeded: 0, failed: 0, wrong: 0, checked: 0, paid: '0' }
  expect([...tallies.values()]).toEqual([
    { ...none, provider: providerOf(1), succeeded: 4, checked: 1, paid: '1.75' },
    { ...none, provider: providerOf(2), succeeded: 1, failed: 1, checked: 1, paid: '0.5' },
    { ...none, provider: providerOf(3), wrong: 1, checked: 1, paid: '0.125' },
  ])
})

test('hour by hour a reputation comes to what the records give one by one, over all classes', () => {
  const state = fc.constantFrom(...STATES)
  const one = fc.record({
    hour: fc.integer({ min: 0, max: 24 * 90 }),
    model: fc.constantFrom('m', 'n'),
    states: fc.array(state, { minLength: 1, maxLength: 4 }),
  })
  holds(
    fc.property(fc.array(one, { minLength: 1, maxLength: 60 }), (all) => {
      const inOrder = all.toSorted((x, y) => x.hour - y.hour)
      const reputations: Reputations = new Map()
      const hours = new Map<number, Map<Address, ProviderTally>>()
      for (const { hour, model, states } of inOrder) {
        const attempts = states.map((state, i) => attempt(i, state))
        const told = record((FROM + hour) * HOUR, attempts, model)
        recount(reputations, told)
        const at = hourOf(told.finishedAt)
        hours.set(at, providerTallies([told], hours.get(at)))
      }
      for (let n = 0; n < 4; n++) {
        const provider = providerOf(n)
        const own = [...reputations].filter(([key]) => key.startsWith(provider)).map(([, reputation]) => reputation)
        const told = [...hours].flatMap(([hour, tallies]) => {
          const tally = tallies.get(provider)
          if (!tally) return []
          const { provider: _, ...counts } = tally
          return { ...counts, hour }
        })
        const last = historyOf(told).at(-1)
        if (own.length === 0) expect(last).toBeUndefined()
        else {
          const expected = interval(pooled(own))
          for (const bound of ['low', 'mean', 'high'] as const) {
            expect(last!.reputation[bound]).toBeCloseTo(expected[bound], 9)
          }
        }
      }
    }),
    100,
  )
})
