import { expect, test } from 'vitest'
import type { Minute } from '#core/protocol/network.ts'
import {
  areaPath,
  bars,
  highestCount,
  highestWait,
  lastWait,
  linePath,
  minuteAt,
  runs,
  timeMarks,
  totals,
} from '../../web/src/lib/chart/minute-series.ts'
import { countTicks, durationTicks } from '../../web/src/lib/chart/scale.ts'

const minute = (at: number, fields: Partial<Minute> = {}): Minute => ({
  at: at * 60_000,
  submitted: 0,
  succeeded: 0,
  failed: 0,
  waitP50Ms: null,
  waitP95Ms: null,
  volume: '0',
  ...fields,
})

test.each([
  [0, [0, 1]],
  [1, [0, 1]],
  [3, [0, 1, 2, 3]],
  [112, [0, 40, 80, 120]],
  [40_000, [0, 20_000, 40_000]],
  [1_000_000_000, [0, 400_000_000, 800_000_000, 1_200_000_000]],
])('a highest count of %d has the ticks %j', (highest, ticks) => {
  expect(countTicks(highest)).toEqual(ticks)
})

test.each([
  [0, [0, 1]],
  [560, [0, 500, 1000]],
  [70_000, [0, 60_000, 120_000]],
  [259_200_000, [0, 172_800_000, 345_600_000]],
])('a highest wait of %d ms has the ticks %j', (highest, ticks) => {
  expect(durationTicks(highest)).toEqual(ticks)
})

test('ticks always reach the highest value, in few steps', () => {
  for (let highest = 0; highest < 5_000; highest += 7) {
    for (const ticks of [countTicks(highest), durationTicks(highest)]) {
      expect(ticks[0]).toBe(0)
      expect(ticks.at(-1)).toBeGreaterThanOrEqual(Math.max(1, highest))
      expect(ticks.length).toBeLessThanOrEqual(5)
      expect(ticks.every(Number.isInteger)).toBe(true)
    }
  }
})

test('bars stand on the baseline with failures on top, inside the plot', () => {
  const minutes = [minute(0, { succeeded: 8, failed: 2 }), minute(1)]
  const [full, none] = bars(minutes, 100, 50, 10)
  expect(full).toMatchObject({ index: 0, succeeded: { y: 10, height: 40 }, failed: { y: 0, height: 10 } })
  expect(full!.x + full!.width).toBeLessThanOrEqual(50)
  expect(none).toMatchObject({ succeeded: { height: 0 }, failed: { height: 0 } })
})

test('one failure among many thousands is still seen', () => {
  expect(bars([minute(0, { succeeded: 40_000, failed: 1 })], 10, 100, 40_001)[0]!.failed.height).toBe(1)
})

test('a minute without a wait breaks the line', () => {
  const minutes = [1, 2, null, 4].map((waitP50Ms, i) => minute(i, { waitP50Ms }))
  expect(runs(minutes, 'waitP50Ms', 40, 10, 10)).toEqual([
    [
      { x: 5, y: 9 },
      { x: 15, y: 8 },
    ],
    [{ x: 35, y: 6 }],
  ])
  expect(runs(minutes, 'waitP95Ms', 40, 10, 10)).toEqual([])
})

test('a run becomes a path and an area down to the baseline', () => {
  const run = [
    { x: 5, y: 9 },
    { x: 15, y: 8.123456 },
  ]
  expect(linePath(run)).toBe('M5 9L15 8.12')
  expect(areaPath(run, 10)).toBe('M5 9L15 8.12L15 10L5 10Z')
  expect(areaPath(run.slice(1), 10)).toBe('')
})

test('time marks are whole multiples with room for each label', () => {
  const minutes = Array.from({ length: 60 }, (_, i) => minute(1003 + i))
  expect(timeMarks(minutes, 720).map(({ at }) => at / 60_000)).toEqual([1010, 1020, 1030, 1040, 1050, 1060])
  expect(timeMarks(minutes, 300).map(({ at }) => at / 60_000)).toEqual([1020, 1040, 1060])
  expect(timeMarks([], 300)).toEqual([])
})

test('a place in the drawing belongs to one minute, and places beside the plot to the nearest', () => {
  const minutes = [minute(0), minute(1), minute(2)]
  const places = [-50, 48, 81, 82, 147, 300].map((x) => minuteAt(minutes, x, 154)?.at)
  expect(places).toEqual([0, 0, 0, 60_000, 120_000, 120_000])
  expect(minuteAt([], 60, 154)).toBeUndefined()
})

test('sums and extremes of the hour', () => {
  const minutes = [
    minute(0, { succeeded: 3, failed: 1, waitP50Ms: 10, waitP95Ms: 40 }),
    minute(1, { succeeded: 2, waitP50Ms: 0 }),
    minute(2, { failed: 2 }),
  ]
  expect(totals(minutes)).toEqual({ succeeded: 5, failed: 3 })
  expect(highestCount(minutes)).toBe(4)
  expect(highestWait(minutes)).toBe(40)
  expect(lastWait(minutes)).toBe(minutes[1])
  expect(lastWait(minutes.slice(2))).toBeNull()
  expect(highestCount([])).toBe(0)
})
