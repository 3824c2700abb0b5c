/** What `npm run bench` keeps of each bench's last run, and the table of it in docs/benchmarks.md. Pure. */
import type { Bar, Figures } from './bench.ts'

export type Run = {
  /** ISO 8601. */
  date: string
  quick: boolean
  /** The machine's load average of one minute, once the bench was over. */
  load: number
  commit: string
  machine: { os: string; cpu: string; cores: number; memoryGb: number; node: string }
  figures: Figures
  bars: Bar[]
}
/** By the bench's name. */
export type Runs = Record<string, Run>

const BEGIN = '<!-- Written by `npm run bench`, down to the next comment. -->'
const END = '<!-- What follows is written by hand. -->'

/**
 * The page with the table of these runs in place of the last.
 * @throws Error when the page does not say where
 */
export function withTable(page: string, runs: Runs): string {
  const begin = page.indexOf(BEGIN)
  const end = page.indexOf(END)
  if (begin < 0 || end < begin)
    throw new Error('docs/benchmarks.md does not say where the table of the last runs stands')
  return `${page.slice(0, begin + BEGIN.length)}\n\n${table(runs)}\n\n${page.slice(end)}`
}

const HEAD = ['bench', 'figure', 'value', 'bar', 'run', 'load', 'commit', 'date', 'machine']

/** A row for each figure that has a bar. */
function table(runs: Runs): string {
  const rows = Object.entries(runs).flatMap(([bench, run]) => run.bars.map((bar) => cellsOf(bench, run, bar)))
  return [HEAD, HEAD.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function cellsOf(bench: string, run: Run, { figure, op, limit, ok }: Bar): string[] {
  const { cores, memoryGb, node } = run.machine
  return [
    bench,
    figure.replace(`${bench}.`, ''),
    String(run.figures[figure]),
    `${op} ${limit}${ok ? '' : ', **missed**'}`,
    run.quick ? 'quick' : 'whole',
    run.load.toFixed(1),
    run.commit,
    run.date.slice(0, 10),
    `${cores} cores, ${memoryGb} GB, Node ${node}`,
  ]
}
