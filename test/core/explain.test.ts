import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createBook, type Provider } from '#core/book.ts'
import { candidacy, census, failing, inWords, REASONS, type Reason } from '#core/explain.ts'
import type { Want } from '#core/matching.ts'
import type { Region } from '#core/protocol/values.ts'
import { ask, enrol, join, offer, openBook, providerOf, supply, T0, want } from '../support/book.ts'
import { holds } from '../support/property.ts'

const region = fc.constantFrom<Region | null>(null, 'weur', 'apac')

/** A task and a provider that may run it, though perhaps not at once. */
const fitting = fc
  .record({
    price: fc.bigInt(1n, 1000n),
    over: fc.bigInt(0n, 5n),
    context: fc.nat(20),
    reputation: fc.integer({ min: 0, max: 10 }).map((n) => n / 10),
    where: region,
    anywhere: fc.boolean(),
    room: fc.nat(2),
  })
  .map(({ price, over, context, reputation, where, anywhere, room }): [Want, Provider] => [
    want({ bid: price + over, minContext: context, minReputation: reputation, region: anywhere ? null : where }),
    {
      ...enrol(createBook('c1'), 1, T0),
      supply: supply({ region: where, room, offers: [ask({ ask: price, context: context + 1, reputation })] }),
      reachable: true,
    },
  ])

type Pair = [Want, Provider]
const ANY = { digest: null, minBits: 0, capabilities: [] }

/** What brings about each reason, and nothing else. */
const BREAKS: Record<Exclude<Reason, 'slot'>, (want: Want, provider: Provider) => Pair> = {
  self: (w, p) => [{ ...w, requester: p.supply.address }, p],
  kind: (w, p) => [{ ...w, kind: 'doc.ocr' }, p],
  model: (w, p) => [{ ...w, model: 'other' }, p],
  digest: (w, p) => [{ ...w, variant: { ...(w.variant ?? ANY), digest: 'sha256:1' } }, p],
  quantization: (w, p) => [{ ...w, variant: { ...(w.variant ?? ANY), minBits: 8 } }, p],
  capability: (w, p) => [{ ...w, variant: { ...(w.variant ?? ANY), capabilities: ['tools'] } }, p],
  context: (w, p) => [{ ...w, minContext: p.supply.offers[0]!.context + 1 }, p],
  region: (w, p) => [{ ...w, region: 'oc' }, p],
  price: (w, p) => [{ ...w, bid: p.supply.offers[0]!.ask - 1n }, p],
  reputation: (w, p) => [{ ...w, minReputation: p.supply.offers[0]!.reputation + 0.1 }, p],
  excluded: (w, p) => [{ ...w, exclude: [p.supply.address] }, p],
  avoided: (w, p) => [{ ...w, avoid: [p.supply.address], avoidUntil: T0 + 1 }, p],
  drawn: (w, p) => [{ ...w, drawn: { address: providerOf(9), until: T0 + 1 } }, p],
  away: (w, p) => [w, { ...p, reachable: false, heardAt: T0 - 3_600_000 }],
}
const factors = Object.keys(BREAKS) as (keyof typeof BREAKS)[]

test('who is excluded has one reason, the first of what is in the way, and is eligible once what was named is mended', () => {
  holds(
    fc.property(fitting, fc.subarray(factors, { minLength: 1 }), fc.boolean(), (good, several, single) => {
      let broken = single ? several.slice(0, 1) : several
      for (;;) {
        let bad = good
        for (const factor of broken) bad = BREAKS[factor](...bad)
        const reason = candidacy(...bad, T0)
        expect(reason).toBe(REASONS.find((known) => broken.some((factor) => factor === known)) ?? null)
        if (reason === null) return
        broken = broken.filter((factor) => factor !== reason)
      }
    }),
    1000,
  )
})

test('everybody who is there is counted once, and who is away only when they would do', () => {
  const book = openBook()
  join(book, 1, T0)
  join(book, 2, T0, { offers: [offer({ model: 'other' })] })
  join(book, 3, T0, { offers: [offer({ kind: 'doc.ocr' }), offer({ ask: '1' })] })
  const gone = T0 + 3_600_000
  enrol(book, 4, T0)
  enrol(book, 5, T0, { offers: [offer({ model: 'other' })] })
  const { candidates, excluded } = census(book, want(), gone)
  expect(candidates.map(({ supply }) => supply.address)).toEqual([providerOf(1)])
  expect(excluded).toEqual({ model: 1, price: 1, away: 1 })
})

test('the failing filter is the one that left nobody, and the sentence is in the order of the filters', () => {
  const counts = { price: 3, model: 9 }
  expect(failing(counts)).toBe('price')
  expect(failing({})).toBeNull()
  expect(inWords(counts, 'providers')).toBe('9 lack the model, 3 ask more than your ceiling')
  expect(inWords({ region: 1, away: 1 }, 'providers')).toBe('1 is not in the region, 1 is away')
})
