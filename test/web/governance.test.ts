import { expect, test } from 'vitest'
import { parseAmount } from '#core/money.ts'
import { PARAMETER_NAMES } from '#core/parameters.ts'
import { formatValue, MEANINGS, parseValue } from '../../web/src/lib/governance/parameter.ts'

test.each([
  ['fee', 250n, '2.5 %', '2.5'],
  ['minimum-stake', parseAmount('1000'), '1,000 DAICN', '1000'],
  ['dispute-window', 86_400n, '1 d', '24'],
  ['verify-period', 5_400n, '1 h 30 min', '1.5'],
  ['verifiers', 5n, '5', '5'],
] as const)('%s of %s is shown as %s, and typed as %s', (name, value, shown, typed) => {
  expect(formatValue(name, value)).toBe(shown)
  expect(parseValue(name, typed)).toBe(value)
})

test.each([
  ['fee', ''],
  ['fee', 'much'],
  ['fee', '-1'],
  ['fee', '0.001'],
  ['verifiers', '3.5'],
] as const)('%s cannot be set to %j', (name, typed) => {
  expect(parseValue(name, typed)).toBe(null)
})

test('every parameter has its words', () => {
  expect(Object.keys(MEANINGS)).toEqual(PARAMETER_NAMES)
})
