import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  Assurance,
  type Checked,
  caughtWithin,
  type Delivery,
  detection,
  distance,
  judge,
  lotOf,
  mostResults,
  spotRate,
} from '#core/assurance.ts'
import { type Book, nextDue, type Provider, tick } from '#core/book.ts'
import { afterwards, type Canary, learn, refutes } from '#core/canary.ts'
import { DomainError } from '#core/errors.ts'
import type { Kind } from '#core/protocol/work.ts'
import { purseId } from '#core/purse.ts'
import { isOver } from '#core/task.ts'
import { leasesAfter, reputationsOf, taskView } from '#core/views.ts'
import {
  failed,
  holderOf,
  join,
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
import { holds } from '../support/property.ts'

const words = fc
  .array(fc.constantFrom('to', 'be', 'or', 'not', ' ', '\n'), { maxLength: 8 })
  .map((all) => all.join(' '))
const choice = fc.record({
  content: fc.option(words),
  finishReason: fc.constant('stop'),
  tool_calls: fc.option(fc.array(fc.record({ id: fc.string(), function: fc.jsonValue() })), { nil: undefined }),
})
const vector = fc.array(fc.constantFrom(0, 1, -1, 0.5, 1e300, 5e-324), { maxLength: 4 })
const outputs: [Kind, fc.Arbitrary<Record<string, unknown>>][] = [
  ['llm.chat', fc.record({ ...choiceParts(), alternatives: fc.option(fc.array(choice), { nil: undefined }) })],
  ['doc.ocr', fc.record({ text: words, confidence: fc.double() })],
  ['image.upscale', fc.record({ image: words, width: fc.nat(2), height: fc.nat(2) })],
  ['wasi.run', fc.record({ exitCode: fc.nat(2), stdout: words, stderr: words, files: fc.dictionary(words, words) })],
  ['text.embed', fc.record({ embeddings: fc.array(vector, { minLength: 1, maxLength: 3 }) })],
]
function choiceParts() {
  return { content: fc.option(words), finishReason: fc.constant('stop') }
}

test.each(outputs)(
  'any two outputs of %s have a distance, the same both ways, and equal ones have none',
  (kind, output) => {
    holds(
      fc.property(output, output, (one, other) => {
        const apart = distance(kind, one, other)
        expect(apart >= 0 && apart <= 2).toBe(true)
        expect(distance(kind, other, one)).toBe(apart)
        expect(distance(kind, one, structuredClone(one))).toBe(0)
      }),
    )
  },
)

test.each<[string, unknown]>([
  ['k above n', { level: 'quorum', n: 2, k: 3 }],
  ['a minority', { level: 'quorum', n: 4, k: 2 }],
  ['one result', { level: 'quorum', n: 1, k: 1 }],
  ['more results than there may be', { level: 'quorum', n: 10, k: 6 }],
  ['a part of a result', { level: 'quorum', n: 3.5, k: 2 }],
  ['no such level', { level: 'much' }],
  ['a tolerance that takes anything', { level: 'spot', tolerance: 1 }],
  ['a field of another level', { level: 'spot', k: 2 }],
])('%s is no assurance', (_, value) => {
  expect(Assurance.safeParse(value).success).toBe(false)
})

test('a provider is checked always at first, then ever less often, and never less than one time in a hundred', () => {
  const rates = (kind: Kind) => [0, 9, 10, 20, 50, 100, 1e6].map((streak) => spotRate(kind, streak))
  expect(rates('wasi.run')).toEqual([1, 1, 0.1, 0.05, 0.02, 0.01, 0.01])
  expect(rates('llm.chat')).toEqual([1, 1, 0.1, 0.05, 0.05, 0.05, 0.05])
})

test('who serves another model than it says is caught within a hundred requests with 99 %, however long it was honest', () => {
  for (const kind of ['llm.chat', 'text.embed'] as const) {
    expect(caughtWithin(100, spotRate(kind, 1e6))).toBeGreaterThan(0.99)
  }
  expect(caughtWithin(3, 0.5)).toBe(0.875)
})

test('what is caught falls with the share of those who lie alike, as if each further result were drawn by itself', () => {
  const lies = (assurance: Checked, share: number) => detection(assurance, 1, share)
  expect(lies({ level: 'spot' }, 0)).toBe(1)
  expect(detection({ level: 'spot' }, 0.02, 0.3)).toBeCloseTo(0.02 * 0.49)
  expect(lies({ level: 'quorum', n: 2, k: 2 }, 0.3)).toBeCloseTo(0.7)
  expect(lies({ level: 'quorum', n: 3, k: 3 }, 0.3)).toBeCloseTo(1 - 0.09)
  expect(lies({ level: 'quorum', n: 5, k: 3 }, 0.3)).toBeCloseTo(0.7 ** 4 + 4 * 0.3 * 0.7 ** 3)
  expect(lies({ level: 'quorum', n: 9, k: 5 }, 1)).toBe(0)
})

test('who gives a further result is drawn evenly, also where only small lots are checked at all', () => {
  const counts = [0, 0, 0, 0]
  for (let lot = 0; lot < 0.01; lot += 1e-6) counts[Math.floor(lotOf(lot, 1) * 4)]! += 1
  for (const count of counts) expect(Math.abs(count - 2500)).toBeLessThan(150)
  expect(lotOf(0.005, 1)).not.toBe(lotOf(0.005, 2))
})

const delivery = (attempt: number, text: string): Delivery => ({
  attempt,
  output: { text, confidence: 1 },
  usage: { inputTokens: 0, outputTokens: 0 },
  units: 1,
})
const given = (...texts: string[]) => texts.map((text, i) => delivery(i + 1, text))
const SPOT: Checked = { level: 'spot' }
const quorum = (n: number, k: number): Checked => ({ level: 'quorum', n, k })

test.each<[Checked, string[], boolean, ReturnType<typeof judge>]>([
  [SPOT, ['a'], false, { is: 'agreed', attempts: [1] }],
  [SPOT, ['a'], true, { is: 'open' }],
  [SPOT, ['a', 'a'], true, { is: 'agreed', attempts: [1, 2] }],
  [SPOT, ['a', 'b'], true, { is: 'open' }],
  [SPOT, ['a', 'b', 'b'], true, { is: 'agreed', attempts: [2, 3] }],
  [SPOT, ['a', 'b', 'c'], true, { is: 'split' }],
  [quorum(2, 2), ['a', 'b'], false, { is: 'split' }],
  [quorum(3, 2), ['a', 'b', 'a'], false, { is: 'agreed', attempts: [1, 3] }],
  [quorum(5, 3), ['a', 'a', 'b', 'b'], false, { is: 'open' }],
  [quorum(5, 3), ['a', 'b', 'c', 'd'], false, { is: 'split' }],
  [
    { ...quorum(2, 2), tolerance: 0.2 },
    ['one two three four five', 'one two three four six'],
    false,
    { is: 'agreed', attempts: [1, 2] },
  ],
  [{ ...quorum(2, 2), tolerance: 0.1 }, ['one two three four five', 'one two three four six'], false, { is: 'split' }],
])('of %o, the results %o come to a verdict', (assurance, texts, drawn, verdict) => {
  expect(judge(assurance, 'doc.ocr', given(...texts), drawn)).toEqual(verdict)
})

/* In a market */

const RIGHT = { embeddings: [[1, 0]] }
const WRONG = { embeddings: [[0, 1]] }

/** A market with so many providers that have room. */
function market(providers: number): Book {
  const book = openBook()
  for (let n = 1; n <= providers; n++) join(book, n, T0)
  return book
}

const checked = (assurance: Checked, lot = 0) => request({ assurance, lot })

/** Every provider does what it is given, the liars wrongly, until nobody has anything to do. */
function work(book: Book, liars: number[], now = T0): void {
  for (let busy = true; busy; ) {
    busy = false
    for (const provider of book.providers.values()) {
      for (const [lease, { seq }] of [...provider.leases]) {
        const lies = liars.some((n) => providerOf(n) === provider.supply.address)
        say(book, provider, { free: 1, seen: seq, results: [succeeded(lease, lies ? WRONG : RIGHT)] }, now)
        busy = true
      }
    }
  }
}

const money = (book: Book) => {
  const purse = book.purses.get(purseId(requesterOf(1), 'session'))!
  return { held: purse.held, captured: purse.captured }
}
const standing = (book: Book) =>
  Object.fromEntries(reputationsOf(book).map(({ provider, outcomes, failures }) => [provider, [outcomes, failures]]))

test('a quorum of honest providers gives the result, pays each of them and refutes the liar', () => {
  const book = market(3)
  const [id] = order(book, 1, [checked(quorum(3, 2))], T0)
  expect(money(book).held).toBe(1000n * 2n * 3n)
  work(book, [1])
  const view = taskView(taskOf(book, id!))
  expect(view).toMatchObject({
    status: 'succeeded',
    output: RIGHT,
    assurance: { level: 'quorum', results: 3, agreed: 2 },
  })
  expect(view.attempts.map(({ state, units }) => [state, units])).toEqual([
    ['refuted', undefined],
    ['succeeded', 2],
    ['succeeded', 2],
  ])
  expect(money(book)).toEqual({ held: 0n, captured: 100n * 2n * 2n })
  expect(standing(book)).toEqual({ [providerOf(1)]: [1, 10], [providerOf(2)]: [1, 0], [providerOf(3)]: [1, 0] })
})

test('who gives a further result is drawn, waited for while it is busy, and drawn again when that takes too long', () => {
  const holders = new Set<string | null>()
  for (let lot = 0.05; lot < 1; lot += 0.1) {
    const book = market(5)
    const [id] = order(book, 1, [checked(quorum(2, 2), lot)], T0)
    const [first] = [...book.providers.values()].filter(({ leases }) => leases.size > 0) as [Provider]
    say(book, first, { seen: 1, results: [succeeded([...first.leases.keys()][0]!, RIGHT)] }, T0)
    holders.add(holderOf(book, id!))
  }
  expect(holders.size).toBe(4)

  const book = market(3)
  // All are busy.
  order(book, 1, [request(), request()], T0)
  const [id] = order(book, 1, [checked(quorum(2, 2))], T0)
  const [first] = [...book.providers.values()].filter(({ leases }) =>
    [...leases.values()].some(({ task }) => task === id),
  )
  const leases = [...book.providers.values()].flatMap(({ leases }) => [...leases.values()])
  say(book, first!, { seen: 1, results: [succeeded([...first!.leases.keys()][0]!, RIGHT)] }, T0)
  const { drawn } = book.tasks.get(id!)!.want
  expect([holderOf(book, id!), drawn?.until]).toEqual([null, T0 + 120_000])
  for (const lease of leases) lease.expiresAt = T0 + 600_000
  const other = [...book.providers.values()].find(
    ({ supply }) => supply.address !== first!.supply.address && supply.address !== drawn!.address,
  )!
  say(book, other, { free: 1, seen: 1, results: [succeeded([...other.leases.keys()][0]!)] }, T0 + 1)
  expect(holderOf(book, id!)).toBeNull()
  tick(book, T0 + 120_000)
  expect(holderOf(book, id!) ?? book.tasks.get(id!)!.want.drawn?.until).toBeTruthy()
  const chosen = book.providers.get(drawn!.address)!
  say(book, chosen, { free: 1, seen: 1, results: [succeeded([...chosen.leases.keys()][0]!)] }, T0 + 120_001)
  expect([drawn!.address, other.supply.address]).toContain(holderOf(book, id!))
})

test('a check whose draw was forgotten is drawn among all who are there, not given to who asks first', () => {
  const holders = new Set<string | null>()
  for (let lot = 0.05; lot < 1; lot += 0.1) {
    const book = market(4)
    // All are busy, so that whom is drawn is waited for.
    order(book, 1, [request(), request(), request()], T0)
    const [id] = order(book, 1, [checked(quorum(2, 2), lot)], T0)
    const isFirst = ({ leases }: Provider) => [...leases.values()].some(({ task }) => task === id)
    const first = [...book.providers.values()].find(isFirst)!
    const others = [...book.providers.values()].filter((one) => one !== first)
    say(book, first, { seen: 1, results: [succeeded([...first.leases.keys()][0]!, RIGHT)] }, T0)
    const { want } = book.tasks.get(id!)!
    expect(want.drawn).not.toBeNull()
    want.drawn = null
    const asks = others[0]!
    say(book, asks, { free: 1, seen: 1, results: [succeeded([...asks.leases.keys()][0]!)] }, T0 + 1)
    holders.add(holderOf(book, id!) ?? want.drawn!.address)
  }
  expect(holders.size).toBe(3)
})

test('a result sent again counts once, under the lease of another not at all, and one that could not be compared is none', () => {
  const book = market(4)
  const [id] = order(book, 1, [checked(quorum(3, 2))], T0)
  const [first] = [...book.providers.values()].filter(({ leases }) => leases.size > 0)
  const [lease] = [...first!.leases.keys()]
  const bring = (provider: Provider, of: string, output: Record<string, unknown> = RIGHT) =>
    say(book, provider, { free: 1, seen: provider.lastSeq, results: [succeeded(of, output)] }, T0)[0]!
  expect(bring(first!, lease!)).toEqual({ lease, accepted: true })
  // Neither again, nor as the second that agrees, by whoever might profit.
  const [second] = [...book.providers.values()].filter(({ leases }) => leases.size > 0)
  const [next] = [...second!.leases.keys()]
  expect(bring(first!, lease!, WRONG)).toEqual({ lease, accepted: true })
  expect(bring(first!, next!)).toEqual({ lease: next, accepted: false, code: 'lease_not_found' })
  expect(taskOf(book, id!).deliveries).toMatchObject([{ output: RIGHT }])

  bring(second!, next!, { embeddings: 'none' })
  expect(taskOf(book, id!).attempts[1]!.state).toMatchObject({ is: 'failed', error: { code: 'invalid_output' } })
  expect(taskOf(book, id!).deliveries).toHaveLength(1)
  tick(book, T0 + 60_000)
  work(book, [], T0 + 60_000)
  expect(taskOf(book, id!).state).toMatchObject({ is: 'succeeded', output: RIGHT })
})

test('results that cannot agree cost nothing, and mark nobody', () => {
  const book = market(2)
  const [id] = order(book, 1, [checked(quorum(2, 2))], T0)
  work(book, [1])
  expect(taskView(taskOf(book, id!))).toMatchObject({ status: 'failed', error: { code: 'no_quorum' }, price: '0' })
  expect(money(book)).toEqual({ held: 0n, captured: 0n })
  expect(standing(book)).toEqual({})
})

test('while it is verified a task says so, gives no output, and cancelling it costs nothing', () => {
  const book = market(2)
  const [id] = order(book, 1, [checked(quorum(2, 2))], T0)
  const [first] = [...book.providers.values()].filter(({ leases }) => leases.size > 0) as [Provider]
  const [lease] = [...first.leases][0]!
  expect(say(book, first, { seen: 1, results: [succeeded(lease, RIGHT)] }, T0)).toMatchObject([{ accepted: true }])
  expect(say(book, first, { seen: 1, results: [succeeded(lease, RIGHT)] }, T0)).toMatchObject([{ accepted: true }])
  const view = taskView(taskOf(book, id!))
  expect([view.status, view.output, view.attempts[0]!.state]).toEqual(['verifying', undefined, 'delivered'])
  expect(view.attempts[1]!.provider).not.toBe(first.supply.address)
})

test('a spot check that finds nobody lets the one result stand, and pays for it', () => {
  const book = market(1)
  const [id] = order(book, 1, [checked(SPOT)], T0)
  work(book, [])
  expect(taskView(taskOf(book, id!)).status).toBe('verifying')
  tick(book, T0 + 600_000)
  expect(taskView(taskOf(book, id!))).toMatchObject({ status: 'succeeded', assurance: { results: 1, agreed: 1 } })
  expect(money(book)).toEqual({ held: 0n, captured: 200n })
  expect(nextDue(book)).toBeNull()
})

test('a result that was not drawn stands at once, at the price of one', () => {
  const book = market(3)
  for (let i = 0; i < 30; i++) order(book, 1, [request()], T0)
  work(book, [])
  const before = money(book).captured
  const [id] = order(book, 1, [checked(SPOT, 0.9)], T0)
  work(book, [])
  expect(taskView(taskOf(book, id!)).assurance).toEqual({ level: 'spot', results: 1, agreed: 1 })
  expect(money(book).captured - before).toBe(200n)
})

test('fewer providers than must agree is refused before anything is held; the requester itself is none of them', () => {
  const book = market(2)
  const refused = (attempt: () => unknown) => {
    const held = money(book)
    expect(attempt).toThrow(DomainError)
    expect(money(book)).toEqual(held)
  }
  refused(() => order(book, 1, [checked(quorum(3, 3))], T0))
  refused(() => order(book, 1, [request({ assurance: quorum(2, 2), exclude: [providerOf(1)] })], T0))
  expect(order(book, 1, [checked(quorum(3, 2))], T0)).toHaveLength(1)
})

test('a minority of liars is always refuted, a majority that agrees is believed, and the money is exact either way', () => {
  holds(
    fc.property(fc.integer({ min: 2, max: 9 }), fc.nat(8), fc.integer({ min: 0, max: 4 }), (n, lying, crash) => {
      const k = Math.floor(n / 2) + 1
      const book = market(n + crash)
      const [id] = order(book, 1, [request({ assurance: quorum(n, k), maxAttempts: 10 })], T0)
      // Some crash in the middle; liars are the first ones.
      for (let i = 0; i < crash; i++) {
        const [holder] = [...book.providers.values()].filter(({ leases }) => leases.size > 0)
        const [lease, { seq }] = [...holder!.leases][0]!
        say(book, holder!, { seen: seq, results: [failed(lease)] }, T0)
      }
      work(
        book,
        Array.from({ length: lying }, (_, i) => i + 1),
      )
      const task = taskOf(book, id!)
      expect(isOver(task)).toBe(true)
      const { captured, held } = money(book)
      const earned = [...book.providers.values()].reduce((sum, provider) => sum + provider.earned, 0n)
      expect([held, earned + book.fees]).toEqual([0n, captured])
      const paid = task.attempts.filter(({ units }) => units > 0)
      expect(paid.every(({ state }) => state.is === 'succeeded')).toBe(true)
      expect(captured).toBe(200n * BigInt(paid.length))
      expect(new Set(paid.map(({ provider }) => provider)).size).toBe(paid.length)
      if (task.state.is === 'succeeded') {
        expect(paid.length).toBe(k)
        if (lying < k) expect(task.state.output).toEqual(RIGHT)
      } else expect(captured).toBe(0n)
      expect(task.deliveries!.length).toBeLessThanOrEqual(mostResults(task.spec.assurance))
    }),
    100,
  )
})

/** What the operator's own quorum of the first two providers agrees upon. */
function known(book: Book, over: object = {}): Canary {
  const [id] = order(book, 1, [request({ assurance: quorum(2, 2), lot: 0, ...over })], T0)
  work(book, [])
  return learn(taskOf(book, id!))!
}

test('a canary is a task like any other to whom it is given, and costs one result that is right', () => {
  const book = market(4)
  const canary = known(book)
  expect(canary.exclude).toHaveLength(2)
  const before = money(book).captured
  const [plain] = order(book, 1, [request()], T0)
  const leaseOf = (id: string) => {
    const provider = book.providers.get(holderOf(book, id)!)!
    const { id: _, seq, ...lease } = leasesAfter(book, provider, 0).at(-1)!
    return lease
  }
  const plainLease = leaseOf(plain!)
  work(book, [])
  const [id] = order(book, 1, [{ ...canary, lot: 0 }], T0)
  expect(leaseOf(id!)).toEqual(plainLease)
  expect(taskView(taskOf(book, id!)).status).toBe(taskView(taskOf(book, plain!)).status === 'succeeded' && 'leased')
  work(book, [])
  const task = taskOf(book, id!)
  expect(task).toMatchObject({ state: { is: 'succeeded' }, attempts: [{ state: { is: 'succeeded' } }] })
  expect(canary.exclude).not.toContain(task.attempts[0]!.provider)
  expect(money(book)).toEqual({ held: 0n, captured: before + 400n })
  expect(afterwards(canary, task)!.exclude).toEqual([...canary.exclude, task.attempts[0]!.provider])
})

test('a canary catches liars that agree, though they be the majority; it is used up then', () => {
  holds(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      (liars, lot) => {
        const book = market(10)
        const canary = known(book)
        const rest = [...book.providers.keys()].filter((at) => !canary.exclude.includes(at))
        const lying = rest.slice(0, liars).map((at) => Number.parseInt(at.slice(-2), 16))
        const before = money(book).captured
        const [id] = order(book, 1, [{ ...canary, lot }], T0)
        work(book, lying)
        const task = taskOf(book, id!)
        expect(task.state).toMatchObject({ is: 'succeeded', output: RIGHT })
        const refuted = task.attempts.filter(({ state }) => state.is === 'refuted')
        const lied = task.attempts.filter(({ provider }) => rest.indexOf(provider) < liars)
        expect(refuted).toEqual(lied)
        expect(task.attempts.length - refuted.length).toBe(refuted.length === 0 ? 1 : 2)
        for (const { provider } of refuted) expect(standing(book)[provider]).toEqual([1, 10])
        expect(money(book)).toEqual({ held: 0n, captured: before + (refuted.length === 0 ? 200n : 400n) })
        expect(afterwards(canary, task) === null).toBe(refuted.length > 0)
      },
    ),
    100,
  )
})

test('where nobody gives the answer that is known, nobody is marked, nothing is paid and it is never asked again', () => {
  const book = market(6)
  const canary = { ...known(book), canary: { id: 't1', output: WRONG } }
  const before = [money(book), standing(book)]
  const [id] = order(book, 1, [{ ...canary, lot: 0.5 }], T0)
  work(book, [])
  // Four are left to ask, who all say the same; it waits for others until its time is over.
  tick(book, T0 + 600_000)
  expect(taskOf(book, id!).attempts.map(({ state }) => state.is)).toEqual(Array(4).fill('delivered'))
  expect([money(book), standing(book)]).toEqual(before)
  expect(afterwards(canary, taskOf(book, id!))).toBeNull()
  const verdict = (...texts: string[]) =>
    judge({ level: 'quorum', n: 9, k: 2 }, 'doc.ocr', given(...texts), false, { text: 'right', confidence: 1 }).is
  expect(verdict('wrong', 'right')).toBe('open')
  expect(verdict(...Array(8).fill('wrong'))).toBe('split')
})

test('what others agreed upon is known, unless it cannot be asked again', () => {
  expect(learn(taskOf(worked(request()), 't1'))).toBeNull()
  const book = market(2)
  expect(known(book)).toMatchObject({ canary: { id: 't1', output: RIGHT }, exclude: [providerOf(1), providerOf(2)] })
  const [again] = order(book, 1, [{ ...known(book), exclude: [], lot: 0 }], T0)
  work(book, [])
  expect(learn(taskOf(book, again!))).toBeNull()
  expect([0, 0.3, 0.7].map(refutes)).toEqual([1, expect.closeTo(0.9987, 4), expect.closeTo(0.7447, 4)])
})

function worked(asked: ReturnType<typeof request>): Book {
  const book = market(2)
  order(book, 1, [asked], T0)
  work(book, [])
  return book
}
