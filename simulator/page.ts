/** The report as one page that needs nothing else: its plots are drawn in it. */
import { count, duration, type Report, reportLines } from './report.ts'

const WIDTH = 720
const HEIGHT = 150
const LEFT = 64

export function pageOf(report: Report): string {
  const { minutes, violations, firstViolations } = report
  const verdict = violations === 0 ? 'No rule was broken.' : `${count(violations)} violations.`
  const rows = reportLines(report).map(
    ([label, text]) => `<tr><th scope="row">${escaped(label)}</th><td>${escaped(text)}</td></tr>`,
  )
  const broken = firstViolations.map(({ rule, what }) => `<li><b>${escaped(rule)}</b> ${escaped(what)}</li>`)
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Simulation, seed ${report.seed}</title>
<style>${STYLE}</style>
<main>
<h1>Simulation, seed ${report.seed}</h1>
<p class="verdict ${violations === 0 ? 'good' : 'bad'}">${verdict}</p>
<table>${rows.join('\n')}</table>
${broken.length > 0 ? `<h2>Violations</h2><ul>${broken.join('\n')}</ul>` : ''}
${plot(
  'Tasks a minute',
  [
    ['asked', minutes.map(({ asked }) => asked)],
    ['succeeded', minutes.map(({ succeeded }) => succeeded)],
  ],
  count,
)}
${plot('Open tasks', [['open', minutes.map(({ open }) => open)]], count)}
${plot('Wait, 95 % of tasks', [['wait', minutes.map(({ waitP95 }) => waitP95)]], duration)}
<p class="faint">Replay: <code>${escaped(report.command)}</code></p>
</main>
</html>
`
}

type Series = [name: string, values: (number | null)[]]

/** Lines over the minutes of the run; a minute without a value breaks its line. */
function plot(title: string, series: Series[], tell: (value: number) => string): string {
  const most = Math.max(1, ...series.flatMap(([, values]) => values.map((value) => value ?? 0)))
  const length = Math.max(2, ...series.map(([, values]) => values.length))
  const x = (n: number) => (LEFT + (n / (length - 1)) * (WIDTH - LEFT - 8)).toFixed(1)
  const y = (value: number) => (HEIGHT - 20 - (value / most) * (HEIGHT - 36)).toFixed(1)
  const paths = series.map(([, values], i) => {
    const steps = values.map((value, n) => {
      if (value === null) return ''
      return `${n === 0 || values[n - 1] === null ? 'M' : 'L'}${x(n)} ${y(value)}`
    })
    return `<path class="line-${i}" d="${steps.join('')}"/>`
  })
  const legend = series.length > 1 ? series.map(([name], i) => `<span class="key-${i}">${name}</span>`).join(' ') : ''
  return `<h2>${title} ${legend}</h2>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}, at most ${tell(most)}">
<path class="axis" d="M${LEFT} 16V${HEIGHT - 20}H${WIDTH - 8}"/>
<text x="${LEFT - 6}" y="20" text-anchor="end">${tell(most)}</text>
<text x="${LEFT - 6}" y="${HEIGHT - 18}" text-anchor="end">0</text>
<text x="${WIDTH - 8}" y="${HEIGHT - 4}" text-anchor="end">${count(length)} min</text>
${paths.join('\n')}
</svg>`
}

const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[sign]!)

const STYLE = `
:root { color-scheme: light dark; --ink: #1c2024; --faint: #60646c; --line: #d9d9e0; --a: #0a7ea4; --b: #30a46c; --bad: #c62a2f }
@media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --faint: #a0a4ac; --line: #43484e; --a: #4cc3e6; --b: #3dd68c; --bad: #ff9592 } }
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; color: var(--ink) }
main { max-width: 760px; margin: 0 auto; padding: 32px 20px }
h1 { font-size: 24px; margin: 0 } h2 { font-size: 15px; margin: 28px 0 4px }
table { border-collapse: collapse; width: 100%; margin-top: 16px }
th { text-align: left; font-weight: 400; color: var(--faint); vertical-align: top; padding: 3px 20px 3px 0 }
td { font-variant-numeric: tabular-nums; padding: 3px 0; overflow-wrap: anywhere }
svg { width: 100%; height: auto } svg text { font: 11px system-ui, sans-serif; fill: var(--faint) }
path { fill: none; stroke-width: 1.5 } .axis { stroke: var(--line) } .line-0 { stroke: var(--a) } .line-1 { stroke: var(--b) }
.key-0 { color: var(--a) } .key-1 { color: var(--b) } .key-0, .key-1 { font-weight: 400 }
.faint { color: var(--faint) } .verdict { margin: 4px 0 } .good { color: var(--b) } .bad { color: var(--bad) }
`
