import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Book, tick } from '#core/book.ts'
import { formatAmount, parseAmount } from '#core/money.ts'
import { quote } from '#core/quote.ts'
import type { TaskRequest } from '#core/request.ts'
import { leasesAfter, taskView } from '#core/views.ts'
import {
  enrol,
  join,
  offer,
  openBook,
  order,
  request,
  requesterOf,
  say,
  succeeded,
  T0,
  taskOf,
} from '../support/book.ts'
import { durable } from '../support/durable.ts'
import { runs } from '../support/market-ops.ts'
import { createWorld, step } from '../support/market-world.ts'
import { holds } from '../support/property.ts'

const ask = (book: Book, over: Partial<TaskRequest> = {}, requester = 1, now = T0) =>
  quote(book, requesterOf(requester), request(over), now)
/** A price of so many base units for one unit. */
const base = (units: number) => formatAmount(BigInt(units))

/** A book whose one provider has taken `tasks` of ten seconds each, and is busy with as many as it has slots. */
function busy(slots: number, { tasks = 1, runMs = 10_000 } = {}): Book {
  const book = openBook([1, 2])
  const provider = enrol(book, 1, T0, { slots })
  let now = T0
  for (let n = 0; n < tasks; n++) {
    order(book, 1, [request()], now)
    say(book, provider, { free: 1 }, now)
    const [lease] = leasesAfter(book, provider, 0)
    now += runMs
    say(book, provider, { seen: lease!.seq, results: [succeeded(lease!.id)] }, now)
  }
  order(
    book,
    1,
    Array.from({ length: slots }, () => request()),
    now,
  )
  say(book, provider, { seen: provider.lastSeq, free: slots }, now)
  return book
}

test('a quote says what submitting does: the ceiling, the model, and whether the task starts at once; and changes nothing', () => {
  let [started, waited] = [0, 0]
  holds(
    fc.property(runs(40), (ops) => {
      const world = createWorld()
      for (const op of ops) {
        if (op.do !== 'submit') {
          step(world, op)
          continue
        }
        const { book, now } = world
        const requests = op.requests.slice(0, 1)
        tick(book, now)
        const before = structuredClone(durable(book))
        const said = quote(book, requesterOf(op.requester), requests[0]!, now)
        expect(durable(book)).toEqual(before)
        step(world, { ...op, requests })
        const answer = world.answers.at(-1)
        if (!Array.isArray(answer)) continue
        const task = taskOf(book, answer[0])
        expect([said.price.ceiling, said.model]).toEqual([taskView(task).maxPrice, task.spec.model])
        expect(task.state.is).toBe(said.wait.free > 0 ? 'leased' : 'queued')
        if (said.wait.free > 0) {
          started++
          expect(said).toMatchObject({ failing: null, wait: { p50Ms: 0, p90Ms: 0 } })
          if (said.price.expected !== null) {
            expect(parseAmount(said.price.expected)).toBeLessThanOrEqual(parseAmount(said.price.ceiling))
          }
        } else waited++
      }
    }),
    150,
  )
  expect(Math.min(started, waited)).toBeGreaterThan(20)
})

test('who fits nobody is told the filter that left nobody, counts of each, and the price that would do', () => {
  const book = openBook()
  for (let n = 1; n <= 9; n++) join(book, n, T0, { offers: [offer({ model: 'other' })] })
  for (let n = 10; n <= 12; n++) join(book, n, T0, { offers: [offer({ ask: base(1000 + n) })] })
  const said = ask(book, { bid: 1000n, maxUnits: 3 })
  expect(said).toMatchObject({
    candidates: 0,
    excluded: { model: 9, price: 3 },
    failing: 'price',
    leastMaxPrice: base(3030),
    explanation: '12 providers: 9 lack the model, 3 ask more than your ceiling.',
    wait: { p50Ms: null, p90Ms: null },
    price: { ceiling: base(3000), expected: null },
  })
  expect(ask(book, { bid: parseAmount(said.leastMaxPrice!) / 3n, maxUnits: 3 })).toMatchObject({
    candidates: 1,
    failing: null,
    leastMaxPrice: null,
  })
})

test('no price is named when more money would not help', () => {
  const book = openBook()
  join(book, 1, T0, { offers: [offer({ ask: '1' })] })
  expect(ask(book, { region: 'weur' })).toMatchObject({ failing: 'region', leastMaxPrice: null })
})

test('a model that nobody ever offered, and a kind that nobody does, are explained and not refused', () => {
  expect(ask(openBook([]))).toMatchObject({ candidates: 0, failing: null, explanation: 'No provider is there.' })
  const book = openBook()
  join(book, 1, T0)
  expect(ask(book, { model: 'unheard-of' })).toMatchObject({ model: 'unheard-of', failing: 'model' })
  const page = ask(book, { kind: 'doc.ocr', model: null })
  expect(page).toMatchObject({
    model: null,
    failing: 'kind',
    explanation: '1 provider: 1 does not do this kind of work.',
  })
})

test('the expected price is the ask of who would win, for the units that such tasks came to', () => {
  const book = openBook()
  join(book, 1, T0, { offers: [offer({ ask: base(20) }), offer({ kind: 'llm.chat', ask: base(7) })] })
  join(book, 2, T0, { offers: [offer({ ask: base(10) })] })
  const said = ask(book, { preference: 'cheapest', bid: 100n, maxUnits: 5 })
  expect(said.price).toEqual({ ceiling: base(500), expected: base(50) })

  const chat = { kind: 'llm.chat', bid: 100n, maxUnits: 40 } as const
  expect(ask(book, chat).price).toEqual({ ceiling: base(4000), expected: null })
  order(book, 1, [request({ ...chat, input: { messages: [] } })], T0)
  const provider = [...book.providers.values()][0]!
  const [lease] = leasesAfter(book, provider, 0)
  const usage = { inputTokens: 0, outputTokens: 10 }
  const output = { content: 'x', finishReason: 'stop' }
  const results = [{ lease: lease!.id, outcome: { status: 'succeeded' as const, output, usage } }]
  say(book, provider, { seen: lease!.seq, results, free: 1 }, T0)
  // A quarter of what it could have come to.
  expect(ask(book, chat).price.expected).toBe(base(7 * 10))
})

test.each<[slots: number, ahead: number, p50: number, p90: number]>([
  // Quantiles of the gamma distribution of shape ahead + 1, divided by the slots.
  [1, 0, Math.LN2, Math.LN10],
  [4, 0, Math.LN2 / 4, Math.LN10 / 4],
  [1, 1, 1.6783, 3.8897],
  [2, 9, 9.6687 / 2, 14.206 / 2],
])('with %i busy slots and %i ahead the wait is that of a queue', (slots, ahead, p50, p90) => {
  const book = busy(slots, { tasks: 3 })
  const now = T0 + 30_000
  for (let n = 0; n < ahead; n++) order(book, 2, [request()], now)
  const { wait } = ask(book, {}, 2, now)
  expect(wait).toMatchObject({ free: 0, slots, ahead })
  for (const [is, exact] of [
    [wait.p50Ms!, p50 * 10_000],
    [wait.p90Ms!, p90 * 10_000],
  ] as const) {
    expect(Math.abs(is - exact) / exact).toBeLessThan(0.02)
  }
})

test('a requester with a long queue is not put behind by the others, nor before itself', () => {
  const book = busy(1)
  for (let n = 0; n < 20; n++) order(book, 1, [request()], T0 + 10_000)
  const [others, own] = [ask(book, {}, 2, T0 + 10_000).wait, ask(book, {}, 1, T0 + 10_000).wait]
  expect(own.ahead).toBe(20)
  expect(others.ahead).toBeLessThanOrEqual(1)
  expect(others.p90Ms!).toBeLessThan(own.p50Ms!)
})

test('a wait is not guessed before any task of the class has ended', () => {
  const nothing = { p50Ms: null, p90Ms: null, basis: 'formula' }
  expect(ask(busy(1, { tasks: 0 }))).toMatchObject({ wait: nothing, finish: null })
})
