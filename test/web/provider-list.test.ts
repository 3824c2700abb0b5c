import { expect, test } from 'vitest'
import type { ProviderSummary } from '#core/protocol/network.ts'
import { countSlots, filterProviders, sortProviders } from '../../web/src/lib/provider-list.ts'

const provider = (digit: string, fields: Partial<ProviderSummary> = {}): ProviderSummary => ({
  address: `0x${digit.repeat(40)}`,
  name: '',
  active: true,
  reputation: { low: 0.5, mean: 0.6, high: 0.7 },
  slots: 1,
  busy: 0,
  offers: [],
  succeeded: 0,
  failed: 0,
  earned: '0',
  ...fields,
})
const digits = (list: readonly ProviderSummary[]) => list.map(({ address }) => address[2]).join('')

test('active providers come first, then the better proven reputation, then the address', () => {
  const list = [
    provider('4', { active: false, reputation: { low: 0.99, mean: 0.99, high: 1 } }),
    provider('3'),
    provider('2', { reputation: { low: 0.4, mean: 0.9, high: 1 } }),
    provider('1'),
  ]
  expect(digits(sortProviders(list, 'reputation'))).toBe('1324')
  expect(digits(list)).toBe('4321')
})

test('earnings are compared as money, not as text or floats', () => {
  const list = [
    provider('1', { earned: '9' }),
    provider('2', { earned: '10.000000000000000002' }),
    provider('3', { earned: '10.000000000000000003' }),
    provider('4', { earned: 'much' }),
  ]
  expect(digits(sortProviders(list, 'earned'))).toBe('3214')
})

test('names sort without regard to case, and nameless ones by address', () => {
  const list = [provider('1', { name: 'beta' }), provider('2', { name: 'Alpha' }), provider('3', { name: ' ' })]
  expect(digits(sortProviders(list, 'name'))).toBe('321')
})

test('a filter wants every word, in any field', () => {
  const list = [
    provider('a', {
      name: 'Studio',
      region: 'weur',
      offers: [{ kind: 'doc.ocr', model: 'tess', ask: '1', speed: 1, reputation: { low: 0, mean: 0.5, high: 1 } }],
    }),
    provider('b', { name: 'studio two', region: 'apac' }),
  ]
  expect(digits(filterProviders(list, ' STUDIO  europe '))).toBe('a')
  expect(digits(filterProviders(list, 'ocr'))).toBe('a')
  expect(digits(filterProviders(list, '0xbbb'))).toBe('b')
  expect(digits(filterProviders(list, 'nobody'))).toBe('')
  expect(filterProviders(list, '  ')).toBe(list)
})

test('slots of providers that are away do not count', () => {
  const list = [provider('1', { slots: 4, busy: 3 }), provider('2', { slots: 8, busy: 8, active: false })]
  expect(countSlots(list)).toEqual({ slots: 4, busy: 3 })
})
