import { expect, test } from 'vitest'
import { formatAmount } from '#core/money.ts'
import { leasesAfter } from '#core/views.ts'
import { why } from '#core/why.ts'
import { enrol, join, offer, openBook, order, providerOf, request, say, succeeded, T0 } from '../support/book.ts'

const base = (units: number) => formatAmount(BigInt(units))

test('a provider is told its rank by each preference, and by what the leader is ahead', () => {
  const book = openBook()
  const dear = join(book, 1, T0, { offers: [offer({ ask: '12', speed: 40 })] })
  join(book, 2, T0, { offers: [offer({ ask: '9', speed: 20 })] })
  join(book, 3, T0, { offers: [offer({ ask: '15', speed: 10 }), offer({ model: 'other', ask: '0.1' })] })
  const [mine] = why(book, dear, T0).offers
  expect(mine).toMatchObject({ kind: 'text.embed', model: 'm', ask: '12' })
  expect(mine!.ranks).toMatchObject([
    {
      preference: 'cheapest',
      rank: 2,
      of: 3,
      leader: { provider: providerOf(2), ask: '9', speed: 20 },
      explanation: 'Rank 2 of 3 for who wants the cheapest: your price 12 is above the winning 9.',
    },
    { preference: 'balanced', rank: 1, of: 3, leader: { provider: providerOf(1) } },
    { preference: 'fastest', rank: 1, of: 3, explanation: 'Rank 1 of 3 for who wants the fastest.' },
  ])
})

test('offers of who is away do not count, nor do other offers of its own', () => {
  const book = openBook()
  const one = join(book, 1, T0, { offers: [offer({ ask: '2' }), offer({ ask: '1' })] })
  enrol(book, 2, T0 - 3_600_000, { offers: [offer({ ask: '0.1' })] })
  expect(why(book, one, T0).offers[0]!.ranks[0]).toMatchObject({ rank: 1, of: 1 })
})

test('equal offers are told apart by who was first', () => {
  const book = openBook()
  join(book, 1, T0)
  const later = join(book, 2, T0)
  expect(why(book, later, T0).offers[0]!.ranks[0]!.explanation).toBe(
    'Rank 2 of 2 for who wants the cheapest: an equal offer was registered before.',
  )
})

test('waiting tasks are counted by why they are not given to it', () => {
  const book = openBook()
  const one = join(book, 1, T0, { free: 0, region: 'weur', offers: [offer({ ask: base(500) })] })
  order(book, 1, [request({ bid: 400n }), request({ bid: 10n }), request({ region: 'oc' }), request()], T0)
  order(book, 1, [request({ exclude: [providerOf(1)] }), request({ minReputation: 0.9 })], T0)
  const { waiting } = why(book, one, T0).offers[0]!
  expect(waiting).toEqual({
    tasks: 6,
    excluded: { region: 1, price: 2, reputation: 1, excluded: 1, slot: 1 },
    explanation:
      '6 tasks of this class wait: 1 wants another region, 2 pay less than you ask, 1 wants a higher reputation, 1 excludes you, 1 needs a free slot of yours.',
  })
  expect(why(book, one, T0).advice).toEqual([expect.stringContaining('no free slot')])
  one.reachable = false
  const later = T0 + 3_600_000
  const away = why(book, one, later)
  expect(away).toMatchObject({ active: false, offers: [{ waiting: { excluded: { away: 1 } } }] })
  expect(away.advice).toEqual([expect.stringContaining('away')])
})

test('of the tasks given out lately it is told which it won, lost, missed or could not have had', () => {
  const book = openBook()
  const dear = join(book, 1, T0, { offers: [offer({ ask: base(12), speed: 10 })] })
  const cheap = join(book, 2, T0, { free: 5, offers: [offer({ ask: base(9), speed: 1 })] })
  order(book, 1, [request({ preference: 'cheapest' }), request({ preference: 'cheapest' })], T0)
  order(book, 1, [request({ bid: 10n })], T0)
  order(book, 1, [request({ preference: 'fastest' })], T0)
  // Full now, it would have won this one.
  order(book, 1, [request({ preference: 'fastest' })], T0)
  expect([dear.leases.size, cheap.leases.size]).toEqual([1, 4])
  const { recent } = why(book, dear, T0).offers[0]!
  expect(recent).toMatchObject({
    tasks: 5,
    won: 1,
    missed: 1,
    excluded: { price: 1 },
    outranked: { price: 2, time: 0, reputation: 0 },
    winner: { provider: providerOf(2), ask: base(9) },
  })
  expect(recent.explanation).toContain('1 you won, 2 went to better offers, 1 you missed by being away or full')
  expect(recent.explanation).toContain(`your price ${base(12)} is above the winning ${base(9)}`)
  expect(why(book, cheap, T0).offers[0]!.recent).toMatchObject({ won: 4, outranked: { time: 1 } })
})

test('nothing of the requesters is told: no address, no id, no ceiling, no input', () => {
  const book = openBook()
  const one = join(book, 1, T0, { offers: [offer({ ask: base(500) })] })
  const other = join(book, 2, T0, { free: 2, offers: [offer({ ask: base(70) })] })
  const ids = order(book, 1, [request({ bid: 77_777n }), request({ bid: 77n }), request({ bid: 66n })], T0)
  const [lease] = leasesAfter(book, other, 0)
  say(book, other, { seen: lease!.seq, results: [succeeded(lease!.id)] }, T0)
  const told = JSON.stringify(why(book, one, T0))
  for (const secret of [...ids, 'hello', base(77), base(77_777), base(66)]) expect(told).not.toContain(`"${secret}"`)
  for (const { spec } of [...book.tasks.values()].map(({ task }) => task)) expect(told).not.toContain(spec.requester)
  expect(book.log.length).toBeGreaterThan(0)
})
