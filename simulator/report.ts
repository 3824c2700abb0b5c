/** What is told of a run: the cells together, in numbers and in words. Nothing in it comes from a real clock. */
import { createHash } from 'node:crypto'
import type { Violation } from './auditor.ts'
import { FAULTS } from './plan.ts'
import type { Outcome } from './run.ts'
import { quantiles } from './tally.ts'

export type Report = ReturnType<typeof reportOf>

export function reportOf(seed: number, tasks: number, cells: Outcome[]) {
  const sum = (of: (cell: Outcome) => number) => cells.reduce((total, cell) => total + of(cell), 0)
  const [waitP50, waitP95, waitP99] = quantiles(
    cells.flatMap(({ tally }) => [...tally.waits]),
    [0.5, 0.95, 0.99],
  )
  const [finishP50, finishP95] = quantiles(
    cells.flatMap(({ tally }) => [...tally.finishes]),
    [0.5, 0.95],
  )
  const drift = cells.reduce((total, cell) => total + cell.drift, 0n)
  return {
    seed,
    tasks,
    command: commandOf(seed, tasks),
    cells: cells.length,
    loads: cells.map(({ load, utilisation }) => ({ load, utilisation: Number(utilisation.toFixed(2)) })),
    models: sum(({ models }) => models),
    providers: sum(({ providers }) => providers),
    cheats: sum(({ cheats }) => cheats),
    requesters: sum(({ requesters }) => requesters),
    virtualMs: Math.max(...cells.map(({ virtualMs }) => virtualMs)),
    asked: sum(({ tally }) => tally.asked),
    accepted: sum(({ tally }) => tally.accepted),
    succeeded: sum(({ ends }) => ends.succeeded),
    failed: sum(({ ends }) => ends.failed),
    cancelled: sum(({ ends }) => ends.cancelled),
    expired: sum(({ ends }) => ends.expired),
    attempts: sum(({ attempts }) => attempts),
    retried: sum(({ retried }) => retried),
    seconds: sum(({ seconds }) => seconds),
    late: sum(({ late }) => late),
    events: sum(({ events }) => events),
    waitMs: { p50: waitP50!, p95: waitP95!, p99: waitP99! },
    finishMs: { p50: finishP50!, p95: finishP95! },
    faults: Object.fromEntries(FAULTS.map((fault) => [fault, sum(({ tally }) => tally.faults[fault])])),
    outages: sum(({ tally }) => tally.outages),
    drift: drift.toString(),
    violations: sum(({ violated }) => violated) + (drift === 0n ? 0 : 1),
    firstViolations: cells.flatMap(({ violations }): Violation[] => violations).slice(0, 20),
    minutes: minutesOf(cells),
    digest:
      cells.length === 1
        ? cells[0]!.digest
        : createHash('sha256')
            .update(cells.map(({ digest }) => digest).join('\n'))
            .digest('hex'),
  }
}

/** Replays the run. */
export const commandOf = (seed: number, tasks: number): string => `npm run simulate -- --seed ${seed} --tasks ${tasks}`

function minutesOf(cells: Outcome[]) {
  const length = Math.max(...cells.map(({ tally }) => tally.minutes.length))
  return Array.from({ length }, (_, n) => {
    const minutes = cells.flatMap(({ tally }) => tally.minutes[n] ?? [])
    const sum = (of: (minute: (typeof minutes)[number]) => number) => minutes.reduce((total, one) => total + of(one), 0)
    return {
      asked: sum(({ asked }) => asked),
      succeeded: sum(({ succeeded }) => succeeded),
      open: sum(({ open }) => open),
      waitP95: quantiles(
        minutes.flatMap(({ waits }) => waits),
        [0.95],
      )[0]!,
    }
  })
}

/** A few calm lines. */
export function reportLines(report: Report): [label: string, text: string][] {
  const { cells, loads, waitMs, finishMs, faults } = report
  const load = loads.map((one) => `${one.load} at ${Math.round(one.utilisation * 100)} %`).join(', ')
  const befallen = Object.entries(faults).map(([fault, times]) => `${count(times)} ${fault}`)
  const rest = (
    [
      ['failed', report.failed],
      ['cancelled', report.cancelled],
      ['expired', report.expired],
    ] as const
  )
    .filter(([, tasks]) => tasks > 0)
    .map(([how, tasks]) => `${count(tasks)} ${how}`)
  const refused = report.asked - report.accepted
  return [
    [
      'network',
      `${count(report.providers)} providers (${count(report.cheats)} cheat), ${count(report.requesters)} requesters, ${report.models} models${cells > 1 ? `, ${cells} cells` : ''}`,
    ],
    ['load', `${load}, ${duration(report.virtualMs)} of virtual time`],
    ['tasks', `${count(report.accepted)} accepted${refused > 0 ? `, ${count(refused)} turned away` : ''}`],
    ['ended', [`${count(report.succeeded)} succeeded`, ...rest].join(', ')],
    [
      'attempts',
      `${count(report.attempts)}, of which ${count(report.retried)} were retries and ${count(report.seconds)} begun beside a late one; ${count(report.late)} results came late and were taken`,
    ],
    [
      'wait',
      `half within ${duration(waitMs.p50)}, 95 % within ${duration(waitMs.p95)}, 99 % within ${duration(waitMs.p99)}`,
    ],
    ['finish', `half within ${duration(finishMs.p50)}, 95 % within ${duration(finishMs.p95)}`],
    ['faults', [...befallen, `${report.outages} outages of the edge`].join(', ')],
    [
      'audit',
      `${count(report.events)} events, ${report.violations === 0 ? 'no' : count(report.violations)} violations, ledger drift ${report.drift}`,
    ],
    ['digest', report.digest],
  ]
}

export const count = (n: number): string => n.toLocaleString('en')

export function duration(ms: number | null): string {
  if (ms === null) return 'unknown'
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`
  return ms < 7_200_000 ? `${(ms / 60_000).toFixed(1)} min` : `${(ms / 3_600_000).toFixed(1)} h`
}
