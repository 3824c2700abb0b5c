import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type Ask,
  addSupply,
  addWant,
  bestNewcomer,
  bestSupply,
  bestWant,
  createMatching,
  EXCLUSIONS,
  type Exclusion,
  exclusion,
  hasRoom,
  hurryWant,
  type Matching,
  merit,
  noteModel,
  PREFERENCES,
  removeSupply,
  removeWant,
  type Supply,
  setReputation,
  setRoom,
  type Want,
} from '#core/matching.ts'
import type { Region } from '#core/protocol/values.ts'
import { ask, providerOf, requesterOf, supply, T0, want } from '../support/book.ts'
import { holds } from '../support/property.ts'

const kind = fc.constantFrom('text.embed' as const, 'llm.chat' as const)
const model = fc.constantFrom('m', 'n')
const price = fc.integer({ min: 0, max: 6 }).map((n) => BigInt(n) * 100n)
const region = fc.constantFrom<Region | null>(null, null, 'weur', 'apac')
const rank = fc.integer({ min: 0, max: 5 }).map((n) => n / 5)
const context = fc.constantFrom(0, 10, 20)
const someProviders = fc.uniqueArray(fc.integer({ min: 1, max: 6 }), { maxLength: 2 }).map((ns) => ns.map(providerOf))

const digest = fc.constantFrom(null, 'sha256:a', 'sha256:b')
const bits = fc.constantFrom(0, 4, 8)
const capabilities = fc.subarray(['tools', 'json_schema'])
const variant = fc.option(fc.record({ digest, minBits: bits, capabilities }))

const anyAsk: fc.Arbitrary<Ask> = fc.record({
  kind,
  model,
  ask: price,
  speed: fc.integer({ min: 1, max: 4 }),
  context,
  digest,
  bits,
  capabilities,
  reputation: rank,
  hope: fc.constantFrom(null, 0.5, 0.99),
  warm: fc.boolean(),
})
const anySupply = fc.record({
  region,
  offers: fc.array(anyAsk, { minLength: 1, maxLength: 3 }),
  room: fc.integer({ min: 0, max: 2 }),
  streak: fc.constantFrom(0, 1, 31, 32),
})
const anyWant = fc.record({
  // Some requesters are providers too.
  requester: fc.constantFrom(requesterOf(1), requesterOf(2), providerOf(1)),
  kind,
  model,
  variant,
  bid: price,
  preference: fc.constantFrom(...PREFERENCES),
  minReputation: rank,
  minContext: context,
  region,
  exclude: someProviders,
  tag: fc.integer({ min: 0, max: 3 }),
  deadline: fc.integer({ min: 0, max: 2 }).map((n) => T0 + n * 1000),
  avoid: someProviders,
  avoidUntil: fc.constantFrom(0, T0 + 1),
  drawn: fc.constantFrom(null, { address: providerOf(1), until: T0 + 1 }, { address: providerOf(2), until: T0 + 1 }),
})
const some = <T>(of: fc.Arbitrary<T>, max: number) => fc.array(of, { minLength: 1, maxLength: max })

const suppliesOf = (parts: Partial<Supply>[]) => parts.map((part, i) => supply({ seq: i + 1, ...part }))
const wantsOf = (parts: Partial<Want>[]) => parts.map((part, i) => want({ seq: i + 1, ...part }))

function matchingOf(wants: Want[], supplies: Supply[]): Matching {
  const matching = createMatching()
  for (const one of wants) addWant(matching, one)
  for (const one of supplies) {
    addSupply(matching, one)
    setRoom(matching, one, one.room)
  }
  return matching
}

const may = (want: Want, one: Supply, offer: Ask, now: number) =>
  exclusion(want, { ...one, offers: [offer] }, now) === null

/** The highest merit among all offers that may run the task, by looking at each; `as` gives an offer as it is taken, or null. */
function bestMerit(want: Want, supplies: Supply[], now: number, as: (offer: Ask) => Ask | null = same): number | null {
  const merits = supplies.flatMap((one) =>
    one.offers
      .filter((offer) => may(want, one, offer, now))
      .flatMap((offer) => as(offer) ?? [])
      .map((offer) => merit(want.preference, offer)),
  )
  return merits.length === 0 ? null : Math.max(...merits)
}
const same = (offer: Ask) => offer
const hopeful = (offer: Ask) => (offer.hope === null ? null : { ...offer, reputation: offer.hope })

/**
 * The first task in order that the provider may run, by looking at each: one at risk by its earlier turn; else one of a model that it
 * has loaded, 32 times in a row.
 */
function firstWant({ urgent }: Matching, wants: Want[], one: Supply, now: number): Want | undefined {
  const turn = (want: Want) => urgent.get(want)?.key0 ?? want.tag
  const first = (offers: readonly Ask[]) =>
    wants
      .filter((want) => exclusion(want, { ...one, offers }, now) === null)
      .sort((x, y) => turn(x) - turn(y) || x.deadline - y.deadline || x.seq - y.seq)[0]
  const next = first(one.offers)
  if (next && urgent.has(next)) return next
  const goesOn = one.offers.length > 1 && one.streak > 0 && one.streak < 32
  return (goesOn && first(one.offers.filter(({ warm }) => warm))) || next
}

function expectBestSupply(matching: Matching, want: Want, supplies: Supply[], now: number): void {
  const match = bestSupply(matching, want, now)
  const best = bestMerit(want, supplies, now)
  expect(match === null).toBe(best === null)
  if (!match) return
  expect(may(want, match.supply, match.offer, now)).toBe(true)
  expect(merit(want.preference, match.offer)).toBe(best)

  const newcomer = bestNewcomer(matching, want, match, now)
  const most = bestMerit(want, supplies, now, hopeful)
  expect(newcomer === null).toBe(most === null || most < best!)
  if (!newcomer) return
  expect(may(want, newcomer.supply, newcomer.offer, now)).toBe(true)
  expect(merit(want.preference, hopeful(newcomer.offer)!)).toBe(most)
}

function expectBestWant(matching: Matching, one: Supply, wants: Want[], now: number): void {
  const match = bestWant(matching, one, now)
  expect(match?.want.id).toBe(firstWant(matching, wants, one, now)?.id)
  if (match) expect(may(match.want, one, match.offer, now)).toBe(true)
}

test('the provider chosen for a task has the highest merit of all that may run it', () => {
  holds(
    fc.property(some(anyWant, 6), some(anySupply, 6), fc.constantFrom(T0, T0 + 1), (wantParts, supplyParts, now) => {
      const supplies = suppliesOf(supplyParts)
      const matching = matchingOf([], supplies)
      // Each is asked twice: what a search leaves behind does not change the next.
      for (const one of [...wantsOf(wantParts), ...wantsOf(wantParts)]) expectBestSupply(matching, one, supplies, now)
    }),
    500,
  )
})

test('the task a provider takes is the first by turn, deadline and time of all that it may run', () => {
  holds(
    fc.property(some(anyWant, 12), some(anySupply, 3), fc.constantFrom(T0, T0 + 1), (wantParts, supplyParts, now) => {
      const wants = wantsOf(wantParts)
      const matching = matchingOf(wants, [])
      for (const one of suppliesOf(supplyParts)) expectBestWant(matching, one, wants, now)
    }),
    500,
  )
})

test('a provider of two models goes on with the one it has loaded, until another waits that has been passed over 32 times', () => {
  const one = supply({ offers: [ask({ model: 'm' }), ask({ model: 'n' })] })
  const wants = Array.from({ length: 80 }, (_, n) => want({ seq: n + 1, tag: n, model: n % 2 ? 'n' : 'm' }))
  const matching = matchingOf(wants, [one])
  const taken: string[] = []
  for (let match = bestWant(matching, one, T0); match; match = bestWant(matching, one, T0)) {
    taken.push(match.want.model)
    removeWant(matching, match.want)
    noteModel(matching, one, match.want)
  }
  const runs = taken
    .join('')
    .match(/m+|n+/g)!
    .map(({ length }) => length)
  expect(runs).toEqual([32, 32, 8, 8])
})

test('of two offers alike the one whose model is loaded goes first, whatever is preferred', () => {
  for (const preference of PREFERENCES) {
    const two = [1, 2].map((seq) => supply({ seq, offers: [ask({ model: 'm' }), ask({ model: 'n' })] }))
    const matching = matchingOf([], two)
    noteModel(matching, two[0]!, ask({ model: 'n' }))
    noteModel(matching, two[1]!, ask({ model: 'm' }))
    expect(bestSupply(matching, want({ preference, model: 'm' }), T0)?.supply.seq).toBe(2)
  }
})

test('both stay right while tasks and providers come, go and fill up', () => {
  const change = fc.oneof(
    fc.record({ do: fc.constant('want' as const), part: anyWant }),
    fc.record({ do: fc.constant('unwant' as const), which: fc.nat() }),
    fc.record({ do: fc.constant('hurry' as const), which: fc.nat(), turn: fc.integer({ min: -2, max: 2 }) }),
    fc.record({ do: fc.constant('supply' as const), part: anySupply }),
    fc.record({ do: fc.constant('unlist' as const), which: fc.nat() }),
    fc.record({ do: fc.constant('load' as const), which: fc.nat(), kind, model }),
    fc.record({
      do: fc.constant('rate' as const),
      which: fc.nat(),
      kind,
      model,
      reputation: rank,
      known: fc.boolean(),
    }),
    fc.record({ do: fc.constant('room' as const), which: fc.nat(), room: fc.integer({ min: 0, max: 2 }) }),
  )
  holds(
    fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
      const matching = createMatching()
      const wants: Want[] = []
      const supplies: Supply[] = []
      for (const [i, op] of changes.entries()) {
        if (op.do === 'want') {
          const added = want({ seq: i + 1, ...op.part })
          wants.push(added)
          addWant(matching, added)
        } else if (op.do === 'supply') {
          const added = supply({ seq: i + 1, ...op.part })
          supplies.push(added)
          addSupply(matching, added)
        } else if (op.do === 'hurry') {
          const hasty = wants[op.which % wants.length]
          if (hasty && !matching.urgent.has(hasty)) hurryWant(matching, hasty, op.turn)
        } else if (op.do === 'unwant') {
          for (const gone of wants.splice(op.which % (wants.length + 1), 1)) {
            removeWant(matching, gone)
            removeWant(matching, gone)
          }
        } else if (op.do === 'unlist') {
          for (const gone of supplies.splice(op.which % (supplies.length + 1), 1)) removeSupply(matching, gone)
        } else if (supplies.length === 0) continue
        else if (op.do === 'load') noteModel(matching, supplies[op.which % supplies.length]!, op)
        else if (op.do === 'rate') rate(matching, supplies[op.which % supplies.length]!, op)
        else setRoom(matching, supplies[op.which % supplies.length]!, op.room)
        for (const one of wants) expectBestSupply(matching, one, supplies, T0)
        for (const one of supplies) expectBestWant(matching, one, wants, T0)
        expectRoom(matching, supplies)
      }
      expect(matching.queued).toBe(wants.length)
    }),
    150,
  )
})

function expectRoom(matching: Matching, supplies: Supply[]): void {
  for (const kind of ['text.embed', 'llm.chat'] as const) {
    for (const model of ['m', 'n']) {
      const free = supplies.some(
        ({ room, offers }) => room > 0 && offers.some((o) => o.kind === kind && o.model === model),
      )
      expect(hasRoom(matching, { kind, model })).toBe(free)
    }
  }
}

type Rated = Pick<Want, 'kind' | 'model'> & { reputation: number; known: boolean }

/** Its score in a class changes; where it was new, that may be over, and never begins again. */
function rate(matching: Matching, one: Supply, of: Rated): void {
  const isKnown = one.offers.some((each) => each.kind === of.kind && each.model === of.model && each.hope === null)
  const hope = of.known || isKnown ? null : Math.max(of.reputation, 0.5)
  setReputation(matching, one, of, { reputation: of.reputation, hope })
}

/** What takes away each reason, and nothing else. */
const MENDS: Record<Exclusion, (want: Want, one: Supply) => [Want, Supply]> = {
  self: (w, s) => [{ ...w, requester: requesterOf(99) }, s],
  kind: (w, s) => [w, { ...s, offers: s.offers.map((offer) => ({ ...offer, kind: w.kind })) }],
  model: (w, s) => [w, { ...s, offers: s.offers.map((offer) => ({ ...offer, model: w.model })) }],
  digest: (w, s) => [{ ...w, variant: { ...w.variant!, digest: null } }, s],
  quantization: (w, s) => [{ ...w, variant: { ...w.variant!, minBits: 0 } }, s],
  capability: (w, s) => [{ ...w, variant: { ...w.variant!, capabilities: [] } }, s],
  context: (w, s) => [{ ...w, minContext: 0 }, s],
  region: (w, s) => [{ ...w, region: null }, s],
  price: (w, s) => [{ ...w, bid: 10_000n }, s],
  reputation: (w, s) => [{ ...w, minReputation: 0 }, s],
  excluded: (w, s) => [{ ...w, exclude: [] }, s],
  avoided: (w, s) => [{ ...w, avoidUntil: 0 }, s],
  drawn: (w, s) => [{ ...w, drawn: null }, s],
  slot: (w, s) => [w, { ...s, room: 1 }],
}

test('every provider that may not run a task has one reason; mending it brings it a step nearer, until it may', () => {
  holds(
    fc.property(anyWant, anySupply, (wantPart, supplyPart) => {
      let pair: [Want, Supply] = [want(wantPart), supply(supplyPart)]
      const reasons: Exclusion[] = []
      for (let reason = exclusion(...pair, T0); reason !== null; reason = exclusion(...pair, T0)) {
        expect(reasons).not.toContain(reason)
        reasons.push(reason)
        pair = MENDS[reason](...pair)
      }
      const order = reasons.map((reason) => EXCLUSIONS.indexOf(reason))
      expect(order).toEqual([...order].sort((x, y) => x - y))
    }),
    1000,
  )
})

const ANY = { digest: null, minBits: 0, capabilities: [] }

test.each<[Exclusion, Partial<Want>, Partial<Supply>]>([
  ['self', { requester: providerOf(1) }, {}],
  ['kind', { kind: 'doc.ocr' }, {}],
  ['model', { model: 'other' }, {}],
  ['digest', { variant: { ...ANY, digest: 'sha256:a' } }, {}],
  ['quantization', { variant: { ...ANY, minBits: 8 } }, { offers: [ask({ bits: 4 })] }],
  ['quantization', { variant: { ...ANY, minBits: 2 } }, {}],
  ['capability', { variant: { ...ANY, capabilities: ['tools', 'n'] } }, { offers: [ask({ capabilities: ['n'] })] }],
  ['context', { minContext: 100 }, {}],
  ['region', { region: 'weur' }, { region: 'apac' }],
  ['region', { region: 'weur' }, { region: null }],
  ['price', { bid: 99n }, {}],
  ['reputation', { minReputation: 0.51 }, {}],
  ['excluded', { exclude: [providerOf(1)] }, {}],
  ['avoided', { avoid: [providerOf(1)], avoidUntil: T0 + 1 }, {}],
  ['drawn', { drawn: { address: providerOf(2), until: T0 + 1 } }, {}],
  ['slot', {}, { room: 0 }],
])('the reason is %s', (reason, wantPart, supplyPart) => {
  expect(exclusion(want(wantPart), supply(supplyPart), T0)).toBe(reason)
})

test('a provider with several offers is told the reason of the one that comes closest', () => {
  const one = supply({ offers: [ask({ kind: 'doc.ocr' }), ask({ ask: 5000n }), ask({ model: 'other' })] })
  expect(exclusion(want(), one, T0)).toBe('price')
})

test('each preference chooses what it is named after', () => {
  const cheap = supply({ seq: 1, offers: [ask({ ask: 10n, speed: 5 })] })
  const fast = supply({ seq: 2, offers: [ask({ ask: 1000n, speed: 50 })] })
  const trusted = supply({ seq: 3, offers: [ask({ ask: 50n, speed: 20, reputation: 0.99 })] })
  const matching = matchingOf([], [cheap, fast, trusted])
  const chosen = PREFERENCES.map((preference) => [
    preference,
    bestSupply(matching, want({ preference }), T0)?.supply.seq,
  ])
  expect(Object.fromEntries(chosen)).toEqual({ cheapest: 1, fastest: 2, balanced: 3 })
})

test('an ask above what a double can tell from the bid is still refused', () => {
  const bid = 10n ** 24n
  const matching = matchingOf([], [supply({ offers: [ask({ ask: bid + 1n })] })])
  expect(bestSupply(matching, want({ bid }), T0)).toBeNull()
  expect(bestSupply(matching, want({ bid: bid + 1n }), T0)).not.toBeNull()
})
