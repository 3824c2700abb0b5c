import { expect, test } from 'vitest'
import type { Kind } from '#core/protocol/work.ts'
import { exactAmount, formatAmount, formatAsk } from '../../web/src/lib/format/amount.ts'
import { formatDuration } from '../../web/src/lib/format/duration.ts'
import {
  formatCompact,
  formatCount,
  formatScore,
  formatShare,
  formatUnitInterval,
} from '../../web/src/lib/format/number.ts'
import { regionName } from '../../web/src/lib/format/region.ts'
import { shortAddress, shortId } from '../../web/src/lib/format/short-id.ts'
import { formatAbsolute, formatAge, formatClock, formatMachine } from '../../web/src/lib/format/time.ts'

test.each([
  [0, '0 ms'],
  [0.4, '<1 ms'],
  [420, '420 ms'],
  [999.4, '999 ms'],
  [999.6, '1.0 s'],
  [4_249, '4.2 s'],
  [9_949, '9.9 s'],
  [9_950, '10 s'],
  [59_499, '59 s'],
  [59_500, '1 min'],
  [185_000, '3 min 5 s'],
  [3_599_000, '59 min 59 s'],
  [3_599_700, '1 h'],
  [7_500_000, '2 h 5 min'],
  [86_400_000, '1 d'],
  [273_600_000, '3 d 4 h'],
])('%d ms reads %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text)
})

test.each([undefined, null, Number.NaN, Number.POSITIVE_INFINITY, -4])('a duration of %s is not known', (ms) => {
  expect(formatDuration(ms)).toBe('—')
})

test.each([
  ['0', '0'],
  ['1', '1'],
  ['0.000002', '0.000002'],
  ['0.00000199999', '0.000002'],
  ['0.0000009', '<0.000001'],
  ['0.000000000000000001', '<0.000001'],
  ['0.0112345', '0.01123'],
  ['99.06499', '99.06'],
  ['1204.5', '1,205'],
  ['999.96', '1,000'],
  ['999999999', '999,999,999'],
  ['1234567890.5', '1.2B'],
  ['123456789012345678.9', '123,456.8T'],
])('%s tokens read %s', (amount, text) => {
  expect(formatAmount(amount)).toBe(text)
})

test.each([undefined, null, '', '-3', '1e5', 'NaN', '1.'])('an amount of %j is not known', (amount) => {
  expect(formatAmount(amount)).toBe('—')
  expect(exactAmount(amount)).toBe('unknown')
})

test('an ask reads per million units where units are small', () => {
  expect(formatAsk('llm.chat', '0.000002')).toEqual({ amount: '2', unit: '/ 1M output tokens' })
  expect(formatAsk('text.embed', '0.00000015')).toEqual({ amount: '0.15', unit: '/ 1M tokens' })
  expect(formatAsk('doc.ocr', '0.0042')).toEqual({ amount: '0.0042', unit: '/ page' })
  expect(formatAsk('image.upscale', '0.00000005')).toEqual({ amount: '0.05', unit: '/ 1M pixels' })
})

test('an ask of a kind this page does not know reads per unit', () => {
  for (const kind of ['image.make', 'constructor', '__proto__'])
    expect(formatAsk(kind as Kind, '0.5')).toEqual({ amount: '0.5', unit: '/ unit' })
})

test('an ask that is no amount is not known', () => {
  expect(formatAsk('llm.chat', 'free').amount).toBe('—')
})

test('counts are grouped, and compact ones shortened from ten thousand', () => {
  expect(formatCount(1_204_332)).toBe('1,204,332')
  expect(formatCount(undefined)).toBe('—')
  expect(formatCompact(9_999)).toBe('9,999')
  expect(formatCompact(40_000)).toBe('40K')
})

test('scores keep one decimal until they are full', () => {
  expect([87.44, 100, 99.96, 0, null].map(formatScore)).toEqual(['87.4', '100', '100', '0.0', '—'])
  expect(formatUnitInterval(0.9118)).toBe('0.912')
  expect(formatUnitInterval(null)).toBe('—')
})

test('shares never round a part to nothing or to everything', () => {
  expect(formatShare(1, 3)).toBe('33 %')
  expect(formatShare(1, 1000)).toBe('<1 %')
  expect(formatShare(999, 1000)).toBe('>99 %')
  expect(formatShare(0, 10)).toBe('0 %')
  expect(formatShare(10, 10)).toBe('100 %')
  expect(formatShare(0, 0)).toBe('—')
})

test.each([
  [0, 'now'],
  [-90_000, 'now'],
  [12_999, '12 s ago'],
  [61_000, '1 min ago'],
  [7_300_000, '2 h ago'],
  [450_000_000, '5 d ago'],
])('%d ms before now reads %s', (ago, text) => {
  expect(formatAge(1e12 - ago, 1e12)).toBe(text)
})

test('a time beyond the calendar is not known', () => {
  for (const at of [1e300, Number.NaN, undefined, null]) {
    expect(formatAge(at, 1e12)).toBe('—')
    expect(formatClock(at)).toBe('—')
    expect(formatAbsolute(at)).toBe('unknown')
    expect(formatMachine(at)).toBeUndefined()
  }
  expect(formatMachine(0)).toBe('1970-01-01T00:00:00.000Z')
})

test('long ids lose their middle and short ones nothing', () => {
  expect(shortId('abc')).toBe('abc')
  expect(shortId('task_01JABCDEFGH8fz2kq')).toBe('task…8fz2kq')
  expect(shortAddress('0x52908400098527886e0f7030069857d2e4169ee7')).toBe('0x5290…9ee7')
})

test('a region this page does not know is shown as it is', () => {
  expect(regionName('weur')).toBe('Western Europe')
  expect(regionName(undefined)).toBe('unknown')
  expect(regionName('mars' as never)).toBe('mars')
  expect(regionName('toString' as never)).toBe('toString')
})
