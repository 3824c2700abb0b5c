import fc from 'fast-check'
import { expect, test } from 'vitest'
import { earnedOf, freeOf } from '#core/account.ts'
import { apply, type BookEvent, tick } from '#core/book.ts'
import { latestDecisions } from '#core/decision.ts'
import { available } from '#core/purse.ts'
import { isOver } from '#core/task.ts'
import { expectNothingIdle, expectSound } from '../support/book-facts.ts'
import { durable } from '../support/durable.ts'
import { runs } from '../support/market-ops.ts'
import {
  createWorld,
  firstBook,
  REQUESTERS,
  readBack,
  sleepAndWake,
  step,
  type World,
  writeWhole,
} from '../support/market-world.ts'
import { holds } from '../support/property.ts'

/** Steps after which the book has looked at the clock and given out what it could. */
const SETTLING = new Set(['submit', 'poll', 'wait', 'outage', 'seal'])

/** Lets all deadlines pass, gives back what is left and reports it. */
function finish(world: World): void {
  step(world, { do: 'wait', ms: 24 * 3_600_000 })
  while (world.book.sealing.size > 0) step(world, { do: 'seal', task: 0, attempt: 'last', tokens: 3 })
  for (let requester = 0; requester < REQUESTERS; requester++) {
    step(world, { do: 'restore', requester })
    step(world, { do: 'settle', requester, old: true })
    step(world, { do: 'settle', requester, old: false })
  }
}

test('whatever requesters, providers and the clock do, the books add up and each task is in one place', () => {
  holds(
    fc.property(runs(80), (ops) => {
      const world = createWorld()
      for (const op of ops) {
        step(world, op)
        expectSound(world.book, world.submitted, world.ended)
        if (SETTLING.has(op.do)) expectNothingIdle(world.book, world.now)
        for (const account of world.accounts) expect(freeOf(account) >= 0n).toBe(true)
      }
    }),
    250,
  )
})

test('who wins by its merit has no less of it than any other that could take the task', () => {
  let seen = 0
  holds(
    fc.property(runs(60), (ops) => {
      const world = createWorld()
      for (const op of ops) step(world, op)
      for (const { rule, merit, others } of latestDecisions(world.book)) {
        if (rule !== 'merit') continue
        for (const other of others) if (!other.excluded) expect(other.merit).toBeLessThanOrEqual(merit)
        seen += others.length
      }
    }),
    400,
  )
  expect(seen).toBeGreaterThan(100)
})

test('in the end every task has ended once, nothing is held, and every deposit is free, earned or a fee to the unit', () => {
  holds(
    fc.property(runs(80), (ops) => {
      const world = createWorld()
      for (const op of ops) step(world, op)
      finish(world)
      const { book, accounts, submitted, ended } = world
      expect(book.tasks.size).toBe(0)
      expect([...ended.keys()].sort()).toEqual([...submitted].sort())
      let owed = book.fees
      for (const provider of book.providers.values()) {
        expect(provider.leases.size).toBe(0)
        owed += provider.earned
      }
      for (const purse of book.purses.values()) expect([purse.held, available(purse)]).toEqual([0n, 0n])
      const sum = (of: (account: World['accounts'][number]) => bigint) =>
        accounts.reduce((total, one) => total + of(one), 0n)
      expect(sum(freeOf) + owed).toBe(sum(({ deposited }) => deposited))
      expect(sum(earnedOf)).toBe(0n)
    }),
    150,
  )
})

test('what was written down gives the same book again, from the start and from any snapshot', () => {
  holds(
    fc.property(runs(60), fc.nat(), (ops, cut) => {
      const world = createWorld()
      let kept = { ...writeWhole(world.book, world.pages), from: 0 }
      for (const [i, op] of ops.entries()) {
        step(world, op)
        if (i === cut % ops.length) {
          kept = { ...writeWhole(world.book, world.pages), from: world.journal.length }
        }
      }
      const journal = structuredClone(world.journal)
      const fromStart = firstBook()
      for (const event of journal) expect(apply(fromStart, event)).toBeNull()
      expect(durable(fromStart)).toEqual(durable(world.book))
      const fromSnapshot = readBack(kept, world.now)
      for (const event of journal.slice(kept.from)) expect(apply(fromSnapshot, event)).toBeNull()
      expect(durable(fromSnapshot)).toEqual(durable(world.book))
      for (const book of [fromStart, fromSnapshot]) {
        tick(book, world.now + 48 * 3_600_000)
        expect([...book.tasks.keys()].sort()).toEqual([...book.sealing].sort())
      }
    }),
    150,
  )
})

/** Of what is due in one step, as deadlines of two tasks, either may be first. */
const inAnyOrder = (events: BookEvent[]): string[] =>
  events.map((event) => JSON.stringify(event, (_, value) => (typeof value === 'bigint' ? `${value}n` : value))).sort()

test('a market that slept goes on as one that lost only its connections', () => {
  holds(
    fc.property(runs(80), fc.nat(), fc.nat(), (ops, cut, later) => {
      const world = createWorld()
      const at = cut % ops.length
      const again = at + (later % (ops.length - at))
      for (const op of ops.slice(0, at)) step(world, op)
      let woken = sleepAndWake(world)
      expect(durable(sleepAndWake(world).book)).toEqual(durable(world.book))
      for (const [i, op] of ops.slice(at).entries()) {
        if (at + i === again) {
          sleepAndWake(world)
          woken = sleepAndWake(woken)
        }
        step(world, op)
        step(woken, op)
        expect(woken.answers.at(-1)).toEqual(world.answers.at(-1))
        expect(woken.journal).toHaveLength(world.journal.length)
      }
      expect(inAnyOrder(woken.journal)).toEqual(inAnyOrder(world.journal))
      expect(durable(woken.book)).toEqual(durable(world.book))
    }),
    120,
  )
})

test('the random runs reach what they are meant to: every end, retries, late results, refusals, shortage', () => {
  const seen = new Set<string>()
  holds(
    fc.property(runs(80), (ops) => {
      const world = createWorld()
      for (const op of ops) step(world, op)
      if (world.journal.some(({ type }) => type === 'hurried')) seen.add('hurried')
      for (const { state, attempts, deliveries = [] } of world.ended.values()) {
        if (state.is === 'succeeded' && deliveries.length > 1) seen.add('agreed')
        if (isOver({ state } as never)) seen.add(state.is)
        if (attempts.length > 1) seen.add('retried')
        const isOvertaken = ({ number, state: one }: (typeof attempts)[number]) =>
          state.is === 'succeeded' && one.is === 'superseded' && one.at === state.at && number < state.attempt
        if (attempts.some(isOvertaken)) seen.add('overtaken')
        for (const attempt of attempts) seen.add(`attempt ${attempt.state.is}`)
        if (state.is === 'succeeded' && state.attempt < attempts.length) seen.add('late')
        if (attempts.filter(({ units }) => units > 0).length > 1) seen.add('shared')
        if (state.is !== 'succeeded' && attempts.some(({ units }) => units > 0)) seen.add('delivered in part')
      }
      for (const word of JSON.stringify(world.answers, (_, value) => (typeof value === 'bigint' ? 'n' : value)).match(
        /"code":"\w+"|"short"/g,
      ) ?? [])
        seen.add(word)
    }),
    300,
  )
  const wanted = [
    '"code":"attempt_over"',
    '"code":"lease_not_found"',
    '"code":"task_finished"',
    '"short"',
    'agreed',
    'attempt delivered',
    'attempt failed',
    'attempt lost',
    'attempt succeeded',
    'attempt superseded',
    'cancelled',
    'delivered in part',
    'expired',
    'failed',
    'hurried',
    'late',
    'overtaken',
    'retried',
    'shared',
    'succeeded',
  ]
  expect(wanted.filter((one) => !seen.has(one))).toEqual([])
})
