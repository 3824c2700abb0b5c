import { expect, test } from 'vitest'
import type { NetworkSnapshot } from '#core/protocol/network.ts'
import { TASK_STATUSES } from '#core/protocol/task.ts'
import { headlines } from '../../web/src/lib/headline.ts'
import { STATUSES, statusLabel } from '../../web/src/lib/task-status.ts'

const empty: NetworkSnapshot = {
  at: 0,
  metrics: { totalProviders: 0, activeProviders: 0, totalTasks: 0, averageReputation: null, healthScore: null },
  reputation: null,
  health: [],
  status: { queued: 0, leased: 0, running: 0, verifying: 0, succeeded: 0, failed: 0, cancelled: 0, expired: 0 },
  minutes: [],
  latest: [],
  matches: [],
  simulated: false,
  providers: [],
}

test('an empty network shows its zeros, and what is unknown as unknown', () => {
  expect(headlines(empty).map(({ value }) => value)).toEqual(['0', '0', '0', '—', '—'])
})

test('the five headline figures, each with a formula', () => {
  const shown = headlines({
    ...empty,
    metrics: {
      totalProviders: 40,
      activeProviders: 30,
      totalTasks: 1_204_332,
      averageReputation: 0.9118,
      healthScore: 92.44,
    },
    reputation: { low: 0.871, mean: 0.912, high: 0.944 },
  })
  expect(shown.map(({ value }) => value)).toEqual(['40', '30', '1,204,332', '0.912', '92.4'])
  expect(shown[3]!.caption).toBe('0.87–0.94, 90 % interval')
  expect(shown.every(({ formula }) => formula.length > 0)).toBe(true)
})

test('every task status has its row, in the order of the protocol', () => {
  expect(STATUSES.map(({ status }) => status)).toEqual([...TASK_STATUSES])
})

test('a status of a later version keeps its own name', () => {
  expect(statusLabel('succeeded')).toBe('Succeeded')
  expect(statusLabel('pondering')).toBe('pondering')
})
