import { expect, test } from 'vitest'
import { ONE_TOKEN } from '#core/money.ts'
import type { TaskSummary } from '#core/protocol/network.ts'
import { csvOf, HOUR_MS, totalSpent, usageOf } from '../../web/src/lib/account/usage.ts'

const NOW = Date.UTC(2026, 10, 22, 19, 30)

const taskOf = (hoursAgo: number, over: Partial<TaskSummary> = {}): TaskSummary => ({
  id: `c1-${hoursAgo}`,
  kind: 'llm.chat',
  model: 'echo',
  status: 'succeeded',
  createdAt: NOW - hoursAgo * HOUR_MS,
  price: '0.5',
  ...over,
})

test('what was used is counted by the hour, without gaps, and by model, the dearest first', () => {
  const { price: _, ...waiting } = taskOf(0)
  const { stepMs, bars, models } = usageOf([waiting, taskOf(3), taskOf(3, { model: 'dear', price: '2' })], NOW)
  expect(stepMs).toBe(HOUR_MS)
  expect(bars.map(({ tasks }) => tasks)).toEqual([2, 0, 0, 1])
  expect(bars[0]!.spent).toBe((5n * ONE_TOKEN) / 2n)
  expect(models.map(({ model, tasks }) => [model, tasks])).toEqual([
    ['dear', 1],
    ['echo', 2],
  ])
  expect(totalSpent(models)).toBe('2.5')
})

test('over more than two days it is counted by the day, and no further back than sixty', () => {
  expect(usageOf([taskOf(0), taskOf(72)], NOW).bars.map(({ tasks }) => tasks)).toEqual([1, 0, 0, 1])
  const long = usageOf([taskOf(24 * 400), taskOf(24)], NOW)
  expect(long.bars).toHaveLength(60)
  expect(long.bars.reduce((sum, { tasks }) => sum + tasks, 0)).toBe(1)
})

test('nobody having asked for anything is one empty hour', () => {
  expect(usageOf([], NOW)).toMatchObject({ bars: [{ tasks: 0, spent: 0n }], models: [] })
})

test('the export keeps every field apart, and no model is a formula', () => {
  const csv = csvOf([taskOf(0, { model: '=HYPERLINK("http://x"),y', waitMs: 12 })])
  expect(csv.split('\r\n')).toEqual([
    'id,createdAt,kind,model,status,provider,waitMs,runMs,price',
    `c1-0,2026-11-22T19:30:00.000Z,llm.chat,"'=HYPERLINK(""http://x""),y",succeeded,,12,,0.5`,
    '',
  ])
})
