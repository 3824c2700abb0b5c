import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  FEE_BASIS_POINTS,
  formatAmount,
  isAmount,
  isAsk,
  ONE_TOKEN,
  parseAmount,
  splitFee,
  toAsk,
} from '#core/money.ts'
import { holds } from '../support/property.ts'

const LIMIT = 10n ** 36n
const amount = fc.bigInt(0n, LIMIT - 1n)

test('an amount written down and read again is the same amount', () => {
  holds(fc.property(amount, (units) => isAmount(formatAmount(units)) && parseAmount(formatAmount(units)) === units))
})

test('an amount read and written down again is the same text, without needless zeros', () => {
  const digits = (max: number) => fc.stringMatching(new RegExp(`^[0-9]{1,${max}}$`))
  holds(
    fc.property(digits(17), fc.option(digits(18), { nil: null }), (whole, fraction) => {
      const text = `${BigInt(whole)}${fraction === null ? '' : `.${fraction}`}`
      const short = fraction === null ? text : text.replace(/\.?0+$/, '')
      expect(formatAmount(parseAmount(text))).toBe(short === '' ? '0' : short)
    }),
  )
})

test('known amounts', () => {
  expect(parseAmount('1')).toBe(ONE_TOKEN)
  expect(parseAmount('0.000000000000000001')).toBe(1n)
  expect(parseAmount('0.0')).toBe(0n)
  expect(formatAmount(ONE_TOKEN / 4n)).toBe('0.25')
  expect(formatAmount(0n)).toBe('0')
  expect(formatAmount(-1n)).toBe('-0.000000000000000001')
})

test.each([
  ['negative', '-1'],
  ['negative nothing', '-0'],
  ['a plus sign', '+1'],
  ['too many decimals', '0.0000000000000000001'],
  ['an exponent', '1e3'],
  ['huge', '1000000000000000000'],
  ['hexadecimal', '0x10'],
  ['a leading zero', '01'],
  ['no whole part', '.5'],
  ['no fraction', '1.'],
  ['spaces', ' 1'],
  ['a line break', '1\n'],
  ['a comma', '1,5'],
  ['nothing', ''],
  ['not a number', 'NaN'],
  ['infinity', 'Infinity'],
])('an amount is refused: %s', (_, text) => {
  expect(isAmount(text)).toBe(false)
  expect(() => parseAmount(text)).toThrow(RangeError)
})

test('any text is either refused or has one meaning', () => {
  const texts = fc.oneof(fc.string(), fc.double().map(String), fc.stringMatching(/^[-+]?[0-9.eE]{1,40}$/))
  holds(
    fc.property(texts, (text) => {
      if (isAmount(text)) expect(parseAmount(formatAmount(parseAmount(text)))).toBe(parseAmount(text))
      else expect(() => parseAmount(text)).toThrow(RangeError)
    }),
    1000,
  )
})

test('what a provider earns and the fee are a price, neither is negative, and the fee is never above its rate', () => {
  holds(
    fc.property(amount, (price) => {
      const { earned, fee } = splitFee(price)
      expect(earned + fee).toBe(price)
      expect(earned >= 0n && fee >= 0n).toBe(true)
      expect(fee * 10_000n <= price * FEE_BASIS_POINTS).toBe(true)
      expect((fee + 1n) * 10_000n > price * FEE_BASIS_POINTS).toBe(true)
    }),
  )
})

test('the fee of a sum is the sum of the fees, at any rate, when prices come of asks', () => {
  const price = fc.tuple(fc.bigInt(1n, 10n ** 12n), fc.bigInt(1n, 10n ** 6n)).map(([ask, units]) => toAsk(ask) * units)
  const at = (amount: bigint, basisPoints: bigint) => (amount * basisPoints) / 10_000n
  holds(
    fc.property(fc.array(price, { maxLength: 20 }), fc.bigInt(0n, 500n), (prices, rate) => {
      const sum = prices.reduce((total, one) => total + one, 0n)
      expect(prices.reduce((total, one) => total + at(one, rate), 0n)).toBe(at(sum, rate))
    }),
  )
  expect(isAsk('0.00000000000001')).toBe(true)
  expect(isAsk('0.000000000000005')).toBe(false)
})
