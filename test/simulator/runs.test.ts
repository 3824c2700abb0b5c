import { expect, test } from 'vitest'
import { FAULTS, plansOf } from '../../simulator/plan.ts'
import { commandOf, reportOf } from '../../simulator/report.ts'
import { run } from '../../simulator/run.ts'
import { readTraces } from '../bench/traces.ts'

const TASKS = 60
const traces = readTraces()
const runOf = (seed: number, tasks: number) => {
  const cells = plansOf(seed, tasks).map((plan) => run(plan, traces))
  return reportOf(seed, tasks, cells)
}

test('two hundred seeds: whatever befalls the network, no rule of the market is broken, and together they reach all of it', () => {
  const reports = Array.from({ length: 200 }, (_, seed) => runOf(seed, TASKS))
  const broken = reports.filter(({ violations }) => violations > 0)
  expect(broken.map(({ command, firstViolations }) => ({ command, firstViolations }))).toEqual([])
  const sum = (of: (report: (typeof reports)[number]) => number) => reports.reduce((total, one) => total + of(one), 0)
  for (const fault of FAULTS) expect([fault, sum(({ faults }) => faults[fault]!) > 20]).toEqual([fault, true])
  for (const what of ['outages', 'retried', 'late', 'succeeded', 'failed', 'cancelled', 'expired'] as const) {
    expect([what, sum((report) => report[what]) > 5]).toEqual([what, true])
  }
}, 120_000)

test('the same seed gives the same report, byte for byte, and another seed another', () => {
  const [one, again, other] = [runOf(41, 500), runOf(41, 500), runOf(42, 500)].map((report) => JSON.stringify(report))
  expect(again).toBe(one)
  expect(other).not.toBe(one)
  expect(commandOf(41, 500)).toBe('npm run simulate -- --seed 41 --tasks 500')
})
