import { createHash } from 'node:crypto'
import { keccak256 } from 'viem'
import { expect, test } from 'vitest'
import { decisionsOf, latestDecisions, latestMatches } from '#core/decision.ts'
import { checkHour, closeHour } from '#core/hour-log.ts'
import { formatAmount } from '#core/money.ts'
import { hourName, hourOf, recordOf } from '#core/public-log.ts'
import { taskView } from '#core/views.ts'
import {
  enrol,
  join,
  offer,
  openBook,
  order,
  providerOf,
  request,
  requesterOf,
  say,
  succeeded,
  T0,
  taskOf,
} from '../support/book.ts'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const base = (units: number) => formatAmount(BigInt(units))
const cheapest = (over = {}) => request({ preference: 'cheapest', ...over })

test('a decision names the winner, the others with most merit, and by what the winner is ahead', () => {
  const book = openBook()
  join(book, 1, T0, { offers: [offer({ ask: base(12), speed: 40 })] })
  join(book, 2, T0, { offers: [offer({ ask: base(9), speed: 10 })] })
  const [id] = order(book, 1, [cheapest()], T0 + 5)
  expect(latestDecisions(book)).toEqual([
    {
      task: id,
      attempt: 1,
      at: T0 + 5,
      kind: 'text.embed',
      model: 'm',
      preference: 'cheapest',
      rule: 'merit',
      provider: providerOf(2),
      ask: base(9),
      speed: 10,
      reputation: 0.02,
      warm: true,
      merit: -2.604,
      advantages: ['price'],
      explanation: `Best for who wants the cheapest: price ${base(9)}, the next asks ${base(12)}.`,
      others: [{ provider: providerOf(1), ask: base(12), speed: 40, reputation: 0.02, warm: true, merit: -2.728 }],
    },
  ])
})

test('those of more merit are named with what kept them from it; of what its requester alone knows only that there was something', () => {
  const book = openBook()
  join(book, 1, T0, { offers: [offer({ ask: base(5) })] })
  join(book, 2, T0, { offers: [offer({ ask: base(6) })] })
  join(book, 3, T0, { offers: [offer({ ask: base(7) })] })
  // Who is away is none of them.
  enrol(book, 4, T0, { offers: [offer({ ask: base(1) })] })
  order(book, 1, [cheapest()], T0)
  order(book, 1, [cheapest({ exclude: [providerOf(2)] })], T0)
  const [latest] = latestDecisions(book)
  expect(latest).toMatchObject({
    provider: providerOf(3),
    advantages: [],
    others: [
      { provider: providerOf(1), excluded: 'slot' },
      { provider: providerOf(2), excluded: 'terms' },
    ],
    explanation: 'No other could take it at once. Of more merit: 1 had no free slot, 1 did not meet its terms.',
  })
})

test('a task that waited is told to have gone to whoever had room first', () => {
  const book = openBook()
  join(book, 1, T0, { free: 0 })
  const [id] = order(book, 1, [request()], T0)
  join(book, 2, T0 + 9, { offers: [offer({ ask: base(900) })] })
  expect(latestDecisions(book)).toMatchObject([{ task: id, rule: 'turn', provider: providerOf(2), at: T0 + 9 }])
})

test('what was decided by stands as it was then, whatever comes of the offers', () => {
  const book = openBook()
  const one = join(book, 1, T0, { free: 2 })
  join(book, 2, T0)
  order(book, 1, [request()], T0)
  const [before] = latestDecisions(book)
  const [lease] = one.leases.keys()
  say(book, one, { seen: one.lastSeq, results: [succeeded(lease!)] }, T0)
  enrol(book, 2, T0, { offers: [offer({ ask: base(1) })] })
  expect(latestDecisions(book)).toEqual([before])
})

test('who checks a result and whom is told once the task is over', () => {
  const book = openBook()
  const [one, two] = [join(book, 1, T0), join(book, 2, T0)]
  const quorum = { level: 'quorum', n: 2, k: 2 } as const
  const [id] = order(book, 1, [request({ kind: 'text.embed', assurance: quorum, lot: 0.5 })], T0)
  for (const provider of [one, two]) {
    expect(latestDecisions(book)).toEqual([])
    const [lease] = provider.leases.keys()
    say(book, provider, { seen: provider.lastSeq, results: [succeeded(lease!)] }, T0)
  }
  expect(latestDecisions(book)).toMatchObject([
    { task: id, attempt: 2, rule: 'lot', provider: providerOf(2) },
    { task: id, attempt: 1, rule: 'merit', provider: providerOf(1) },
  ])
})

test('of a busy market some are kept, the last fifty are told, and nothing of requesters', () => {
  const book = openBook()
  join(book, 1, T0, { free: 90 })
  const many = Array.from({ length: 15 }, () => request({ bid: 77_777n }))
  const told: number[] = []
  for (let spell = 0; spell < 6; spell++) {
    order(book, 1, many, T0 + spell * 100)
    told.push(latestDecisions(book).length)
  }
  expect(told).toEqual([10, 20, 30, 40, 50, 50])
  expect(latestMatches(book, 6)).toMatchObject([{ at: T0 + 500 }, {}, {}, {}, {}, {}])
  const text = JSON.stringify(latestDecisions(book))
  for (const secret of [requesterOf(1), base(77_777), 'hello']) expect(text).not.toContain(secret)
})

test('a decision stays with its task, however many others are made meanwhile, and is told of one that is verified when that is over', () => {
  const book = openBook()
  const [one, two] = [join(book, 1, T0, { free: 100 }), join(book, 2, T0)]
  const quorum = { level: 'quorum', n: 2, k: 2 } as const
  const [id] = order(book, 1, [request({ kind: 'text.embed', assurance: quorum, lot: 0.5 })], T0)
  for (let spell = 1; spell <= 6; spell++) {
    const many = Array.from({ length: 10 }, () => request())
    order(book, 1, many, T0 + spell * 100)
  }
  expect(latestDecisions(book).some(({ task }) => task === id)).toBe(false)
  expect(decisionsOf(taskOf(book, id!))).toEqual([])
  for (const provider of [one, two]) {
    const [lease] = [...provider.leases.keys()].filter((lease) => lease.startsWith(id!))
    say(book, provider, { free: 1, seen: provider.lastSeq, results: [succeeded(lease!)] }, T0 + 700)
  }
  expect(decisionsOf(taskOf(book, id!))).toMatchObject([
    { task: id, attempt: 1, rule: 'merit' },
    { task: id, attempt: 2, rule: 'lot' },
  ])
})

test('a log that passes a better offer over is found out, though its roots are right', async () => {
  const book = openBook()
  for (const n of [1, 2, 3]) join(book, n, T0, { offers: [offer({ ask: base(n) })] })
  const [id, second] = order(book, 1, [cheapest(), cheapest()], T0)
  for (const provider of book.providers.values()) {
    const results = [...provider.leases.keys()].map((lease) => succeeded(lease))
    say(book, provider, { seen: provider.lastSeq, results }, T0 + 1)
  }
  const lines = [id!, second!].map((one) =>
    JSON.stringify(recordOf(taskView(taskOf(book, one)), undefined, decisionsOf(taskOf(book, one)))),
  )
  const tools = { hash: async (text: string) => sha256(text), keccak: (hex: string) => keccak256(`0x${hex}`).slice(2) }
  const check = async (told: string[]) => {
    const head = await closeHour(hourName(hourOf(T0)), null, told, tools)
    return (await checkHour([JSON.stringify(head), ...told], null, [], tools)).checks.filter(({ ok }) => !ok)
  }
  // The second passed over a provider that had no slot any more.
  expect(lines[1]).toContain('"excluded":"slot"')
  expect(await check(lines)).toEqual([])
  const forged = [lines[0]!, lines[1]!.replace(',"excluded":"slot"', '')]
  expect(await check(forged)).toEqual([
    { what: 'of the 2 decisions that were noted none passed over a better offer', ok: false },
  ])
})
