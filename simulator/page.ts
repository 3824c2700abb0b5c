/** The report of a run as a page. */
import { escaped, lines, page, replay, table } from './html.ts'
import { count, duration, type Report, reportLines } from './report.ts'

export function pageOf(report: Report): string {
  const { minutes, violations, firstViolations } = report
  const verdict = violations === 0 ? 'No rule was broken.' : `${count(violations)} violations.`
  const broken = firstViolations.map(({ rule, what }) => `<li><b>${escaped(rule)}</b> ${escaped(what)}</li>`)
  return page(
    `Simulation, seed ${report.seed}`,
    `<p class="verdict ${violations === 0 ? 'good' : 'bad'}">${verdict}</p>
${table(reportLines(report))}
${broken.length > 0 ? `<h2>Violations</h2><ul>${broken.join('\n')}</ul>` : ''}
${lines(
  'Tasks a minute',
  [
    ['asked', minutes.map(({ asked }) => asked)],
    ['succeeded', minutes.map(({ succeeded }) => succeeded)],
  ],
  count,
)}
${lines('Open tasks', [['open', minutes.map(({ open }) => open)]], count)}
${lines('Wait, 95 % of tasks', [['wait', minutes.map(({ waitP95 }) => waitP95)]], duration)}
${replay(report.command)}`,
  )
}
