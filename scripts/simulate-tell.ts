/** What `npm run simulate` prints. */
import { seconds, terminal } from '../client/cli/terminal.ts'
import { type Comparison, gainOf } from '../simulator/compare.ts'
import { count, duration, type Report, reportLines } from '../simulator/report.ts'
import type { Stragglers } from '../simulator/stragglers.ts'
import { type TrialScore, withinQuote } from '../simulator/verdicts.ts'
import type { Seeds } from './simulate-seeds.ts'

export function tellReport(report: Report): void {
  const out = terminal(process.stdout)
  out.heading(`Simulation, seed ${report.seed}`)
  for (const [label, text] of reportLines(report)) out.item(label, text)
  if (report.violations === 0) return
  out.line()
  for (const { at, rule, what } of report.firstViolations) {
    out.warning(`${rule}: ${what}`, `at ${new Date(at).toISOString()}`)
  }
  out.fault(`The market broke its rules ${report.violations} times.`, `Replay it: ${report.command}`)
}

export function tellSeeds(sum: Seeds, ms: number): void {
  const out = terminal(process.stdout)
  out.heading(`${count(sum.seeds)} seeds`)
  out.item('time', `${count(Math.round(sum.virtualHours))} virtual hours, in ${seconds(ms)}`)
  out.item('tasks', `${count(sum.tasks)} accepted, ${count(sum.attempts)} attempts, ${count(sum.events)} events`)
  const befallen = Object.entries(sum.faults).map(([fault, times]) => `${count(times)} ${fault}`)
  out.item('faults', [...befallen, `${count(sum.outages)} outages of the edge`].join(', '))
  out.item('slowest', `of each seed's tasks 95 % ended within ${duration(sum.slowestMs)}`)
  out.item('violations', count(sum.violations))
  if (sum.violations > 0) out.fault('The market broke its rules.', `Replay it: ${sum.broken.join('; ')}`)
}

export function tellComparisons(comparisons: Comparison[]): void {
  const out = terminal(process.stdout)
  const share = (part: number) => `${Math.abs(part * 100).toFixed(0)} % ${part < 0 ? 'more' : 'less'}`
  for (const comparison of comparisons) {
    const { best, wait, price } = gainOf(comparison)
    out.heading(comparison.mix)
    for (const { matcher, waitP50, waitP95, waitMost, price, fairness, loads } of comparison.scores) {
      const waits = `waits ${duration(waitP50)}, 95 % ${duration(waitP95)}, at most ${duration(waitMost)}`
      out.item(matcher, `${waits}; price ${price.toFixed(3)}; fairness ${fairness.toFixed(3)}; ${loads} loads`)
    }
    out.item('', out.faint(`against ${best}: 95 % waits ${share(wait)}, price ${share(price)}`))
  }
}

export function tellStragglers(scores: Stragglers[]): void {
  const out = terminal(process.stdout)
  out.heading('Slow providers')
  for (const { preference, finishP50, finishP95, finishP99, seconds, succeeded, violations } of scores) {
    const ends = `half done within ${duration(finishP50)}, 95 % ${duration(finishP95)}, 99 % ${duration(finishP99)}`
    const rest = `${(seconds * 100).toFixed(1)} % of attempts beside a late one; ${(succeeded * 100).toFixed(1)} % succeeded`
    out.item(preference, `${ends}; ${rest}; ${count(violations)} violations`)
  }
}

export function tellTrials(scores: TrialScore[]): void {
  const out = terminal(process.stdout)
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`
  let last = ''
  for (const score of scores) {
    const heading = `${Math.round(score.share * 100)} % of providers ${score.cheater}`
    if (heading !== last) out.heading(heading)
    last = heading
    const { level, wrong, caught, quoted, deceived, profit, income, results, price } = score
    const told = caught === null ? 'no wrong result' : `${wrong} wrong first, ${percent(caught)} caught`
    const quote = quoted === null ? '' : `, quoted ${percent(quoted)}${withinQuote(score) ? '' : ' (!)'}`
    const brought = profit === null ? '' : `, each brought ${profit.toFixed(3)} tokens`
    const swapped =
      score.within100 === null ? '' : `${percent(score.within100)} of them caught within 100 wrong results, `
    const rest = `${swapped}${percent(deceived)} of tasks deceived, income ${income.toFixed(2)} of the honest`
    out.item(level, `${told}${quote}${brought}; ${rest}; ${results.toFixed(2)} results at ${price.toFixed(4)} tokens`)
  }
}
