import { expect, test } from 'vitest'
import { drawLine, reputationLine } from '../../web/src/lib/providers/reputation-line.ts'

const HOUR = 3_600_000
const hour = (hour: string, mean: number, wrong = 0) => ({
  hour,
  succeeded: 1,
  failed: 0,
  wrong,
  checked: wrong,
  paid: '0',
  reputation: { low: mean - 0.1, mean, high: mean + 0.1 },
})
const now = Date.parse('2026-11-22T04:30:00Z')
const live = { low: 0.7, mean: 0.8, high: 0.9 }

test('the line goes through each hour as it ended to how things stand now', () => {
  const points = reputationLine([hour('2026-11-22T01', 0.5), hour('2026-11-22T02', 0.4, 1)], live, now)
  expect(points.map(({ at, mean, wrong }) => [at, mean, wrong])).toEqual([
    [Date.parse('2026-11-22T02:00:00Z'), 0.5, 0],
    [Date.parse('2026-11-22T03:00:00Z'), 0.4, 1],
    [now, 0.8, 0],
  ])
  const { band, mean } = drawLine(points, 250, 100)
  expect(mean).toBe('M0.0,50.0L100.0,60.0L250.0,20.0')
  expect(band).toBe('M0.0,40.0L100.0,50.0L250.0,10.0L250.0,30.0L100.0,70.0L0.0,60.0Z')
})

test('before an hour has closed there is no more than the present', () => {
  expect(reputationLine([], live, now)).toEqual([{ ...live, at: now, wrong: 0 }])
  expect(reputationLine([hour('2026-11-22T04', 0.5)], live, now - HOUR)).toHaveLength(1)
})
