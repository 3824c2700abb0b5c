import { expect, test } from 'vitest'
import type { ClassForecast } from '../../core/protocol/forecast.ts'
import type { ProviderSummary } from '../../core/protocol/network.ts'
import { supplyOf, topsOf } from '../../web/src/lib/market/classes.ts'
import { taskOf } from '../../web/src/lib/market/quote-form.ts'

const provider = (active: boolean, ask: string, speed: number): ProviderSummary => ({
  address: `0x${'1'.repeat(40)}`,
  name: '',
  active,
  reputation: { low: 0, mean: 0.5, high: 1 },
  slots: 4,
  busy: 1,
  offers: [{ kind: 'llm.chat', model: 'tiny', ask, speed, reputation: { low: 0, mean: 0.5, high: 1 } }],
  succeeded: 0,
  failed: 0,
  earned: '0',
})

test('the supply of a class is what its active providers offer', () => {
  const providers = [provider(true, '0.000002', 5), provider(true, '0.000001', 3), provider(false, '0.0000001', 99)]
  expect(supplyOf(providers, 'llm.chat', 'tiny')).toEqual({ slots: 8, busy: 2, leastAsk: '0.000001' })
  expect(supplyOf(providers, 'text.embed', 'tiny')).toEqual({ slots: 0, busy: 0, leastAsk: null })
})

test('bars of all classes end at the largest p90', () => {
  const one = (p90: number): ClassForecast => ({
    kind: 'llm.chat',
    model: `m${p90}`,
    providers: 1,
    slots: 4,
    demand: null,
    price: null,
    suggestedAsk: null,
    earnings: null,
    shortage: null,
    waitMs: { p10: 0, p50: 1, p90, basis: 'early' },
    finishMs: null,
  })
  expect(topsOf([one(5), one(9)])).toEqual({ demand: 0, wait: 9, finish: 0 })
})

test('a form left as it is asks for anything, anywhere, at any price', () => {
  const form = {
    model: '',
    text: 'a\n\nb',
    maxTokens: 9,
    maxPrice: ' ',
    preference: 'balanced',
    region: '',
    minReputation: 0,
  } as const
  expect(taskOf({ ...form, kind: 'text.embed' })).toEqual({
    kind: 'text.embed',
    preference: 'balanced',
    requirements: { minReputation: 0 },
    input: { texts: ['a', 'b'] },
  })
  expect(taskOf({ ...form, kind: 'llm.chat', region: 'weur', maxPrice: '1' })).toMatchObject({
    maxPrice: '1',
    requirements: { region: 'weur' },
    input: { max_tokens: 9 },
  })
})
