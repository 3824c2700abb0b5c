/** A page that needs nothing else: its plots are drawn in it. */
import { count } from './report.ts'

const WIDTH = 720
const HEIGHT = 150
const LEFT = 64

/** @param body HTML, in which every text is `escaped` */
export const page = (title: string, body: string): string => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${STYLE}</style>
<main>
<h1>${title}</h1>
${body}
</main>
</html>
`

type Series = [name: string, values: (number | null)[]]

/** Lines over the minutes of a run; a minute without a value breaks its line. */
export function lines(title: string, series: Series[], tell: (value: number) => string): string {
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
  return `<h2>${title} ${legendOf(series)}</h2>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}, at most ${tell(most)}">
<path class="axis" d="M${LEFT} 16V${HEIGHT - 20}H${WIDTH - 8}"/>
<text x="${LEFT - 6}" y="20" text-anchor="end">${tell(most)}</text>
<text x="${LEFT - 6}" y="${HEIGHT - 18}" text-anchor="end">0</text>
<text x="${WIDTH - 8}" y="${HEIGHT - 4}" text-anchor="end">${count(length)} min</text>
${paths.join('\n')}
</svg>`
}

/** Beside each name a bar for each series, from nothing to the most there is; none where there is no value. */
export function bars(title: string, names: string[], series: Series[], tell: (value: number) => string): string {
  const most = Math.max(...series.flatMap(([, values]) => values.map((value) => value ?? 0))) || 1
  const rowHeight = BAR * series.length + 10
  const height = rowHeight * names.length
  const rows = names.map((name, n) => {
    const top = n * rowHeight
    const drawn = series.map(([, values], i) => {
      const value = values[n] ?? null
      if (value === null) return ''
      const width = ((Math.max(value, 0) / most) * (WIDTH - NAMES - TOLD)).toFixed(1)
      const y = top + i * BAR
      return `<rect class="bar-${i}" x="${NAMES}" y="${y}" width="${width}" height="${BAR - 2}"/>
<text x="${NAMES + Number(width) + 6}" y="${y + BAR - 4}">${tell(value)}</text>`
    })
    return `<text x="${NAMES - 8}" y="${top + (rowHeight - 10) / 2 + 4}" text-anchor="end">${escaped(name)}</text>
${drawn.join('\n')}`
  })
  return `<h2>${title} ${legendOf(series)}</h2>
<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${title}, at most ${tell(most)}">
${rows.join('\n')}
</svg>`
}

const BAR = 14
/** Where the names of bars end, and the room for what is told behind them. */
const NAMES = 190
const TOLD = 70

const legendOf = (series: Series[]): string =>
  series.length > 1 ? series.map(([name], i) => `<span class="key-${i}">${name}</span>`).join(' ') : ''

export const table = (rows: [label: string, ...cells: string[]][]): string => {
  const lines = rows.map(
    ([label, ...cells]) =>
      `<tr><th scope="row">${escaped(label)}</th>${cells.map((cell) => `<td>${escaped(cell)}</td>`).join('')}</tr>`,
  )
  return `<table>${lines.join('\n')}</table>`
}

export const replay = (command: string): string => `<p class="faint">Replay: <code>${escaped(command)}</code></p>`

export const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[sign]!)

const STYLE = `
:root { color-scheme: light dark; --ink: #1c2024; --faint: #60646c; --line: #d9d9e0; --a: #0a7ea4; --b: #30a46c; --bad: #c62a2f }
@media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --faint: #a0a4ac; --line: #43484e; --a: #4cc3e6; --b: #3dd68c; --bad: #ff9592 } }
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; color: var(--ink) }
main { max-width: 760px; margin: 0 auto; padding: 32px 20px }
h1 { font-size: 24px; margin: 0 } h2 { font-size: 15px; margin: 28px 0 4px }
table { border-collapse: collapse; width: 100%; margin-top: 16px }
th { text-align: left; font-weight: 400; color: var(--faint); vertical-align: top; padding: 3px 20px 3px 0; white-space: nowrap }
td { font-variant-numeric: tabular-nums; padding: 3px 12px 3px 0; overflow-wrap: anywhere }
svg { width: 100%; height: auto } svg text { font: 11px system-ui, sans-serif; fill: var(--faint) }
path { fill: none; stroke-width: 1.5 } .axis { stroke: var(--line) } .line-0 { stroke: var(--a) } .line-1 { stroke: var(--b) }
.bar-0 { fill: var(--a) } .bar-1 { fill: var(--b) }
.key-0 { color: var(--a) } .key-1 { color: var(--b) } .key-0, .key-1 { font-weight: 400 }
.faint { color: var(--faint) } .verdict { margin: 4px 0 } .good { color: var(--b) } .bad { color: var(--bad) }
`
