/** How things stand with an agent, as lines of a terminal: a head, and for each edge its models in one table. */
import { cut, type Paint, type Paints, padEnd, padStart, printable, widthOf, wrap } from './screen.ts'
import type { StationView } from './station.ts'

type Row = { name: string; cells: string[]; isRunning: boolean }
type EdgeView = StationView['edges'][number]

const HEAD = ['running', 'done', 'failed', 'earned', 'units/s']
const FAILED = HEAD.indexOf('failed')
const SYMBOLS = { working: '●', resting: '‖', paused: '‖', leaving: '■' }
const INDENT = 4
const GAP = 2
/** Of a model's name something is always seen. */
const LEAST_NAME = 8

/** @param columns none of the lines is wider */
export function panelOf(view: StationView, now: number, columns: number, paints: Paints): string[] {
  const { state, why, address, edges } = view
  const tables = edges.map((edge) => rowsOf(edge, now))
  const shown = HEAD.map((_, i) => i !== FAILED || tables.flat().some(({ cells }) => cells[i] !== ''))
  const pick = (cells: string[]) => cells.filter((_, i) => shown[i])
  const all = [HEAD, ...tables.flat().map(({ cells }) => cells)].map(pick)
  const widths = pick(HEAD).map((_, i) => Math.max(...all.map((cells) => widthOf(cells[i]!))))
  const taken = widths.reduce((sum, width) => sum + width + GAP, INDENT)
  const nameWidth = Math.max(
    Math.min(columns - taken, Math.max(...tables.flat().map(({ name }) => widthOf(name)), 24)),
    LEAST_NAME,
  )
  const line = (name: string, cells: string[], paint: Paint) =>
    `${' '.repeat(INDENT)}${padEnd(cut(name, nameWidth), nameWidth)}${paint(
      pick(cells)
        .map((cell, i) => padStart(cell, widths[i]! + GAP))
        .join(''),
    )}`
  const paintOf = { working: paints.good, resting: paints.warn, paused: paints.warn, leaving: paints.faint }[state]
  const head = `${SYMBOLS[state]} ${state}`
  return [
    `  ${paintOf(head)}  ${cut(address, columns - widthOf(head) - INDENT)}`,
    ...wrap(why ?? '', columns - INDENT).flatMap((text) => (text ? [`${' '.repeat(INDENT)}${text}`] : [])),
    ...edges.flatMap((edge, i) => [
      '',
      edgeLine(edge, columns, paints),
      ...(tables[i]!.length > 0 ? [paints.faint(line('', HEAD, (text) => text))] : []),
      ...tables[i]!.map(({ name, cells, isRunning }) => line(name, cells, isRunning ? paints.strong : (text) => text)),
    ]),
  ]
}

function edgeLine({ edge, online, cell, slots, leases }: EdgeView, columns: number, { good, bad }: Paints): string {
  const state = online ? `${online}, ${printable(cell ?? '')}` : 'offline'
  const rest = `  ${online ? '●' : '○'} ${state}  ${leases.length} of ${slots} slots`
  const name = cut(edge, columns - INDENT / 2 - widthOf(rest))
  return `  ${name}${(online ? good : bad)(rest)}`
}

/** A row for each model that has work or had any. */
function rowsOf({ works, leases }: EdgeView, now: number): Row[] {
  const names = new Map([...works, ...leases].map(({ kind, model }) => [`${kind} ${model}`, { kind, model }]))
  return [...names.values()].map(({ kind, model }) => {
    const isOf = (one: { kind: string; model: string }) => one.kind === kind && one.model === model
    const running = leases.filter(isOf)
    const work = works.find(isOf)
    const longest = Math.max(...running.map(({ startedAt }) => now - startedAt))
    return {
      name: printable(`${kind} ${model}`),
      isRunning: running.length > 0,
      cells: [
        running.length > 0 ? `${running.length} · ${duration(longest)}` : '',
        work ? work.succeeded.toLocaleString('en') : '',
        work?.failed ? work.failed.toLocaleString('en') : '',
        work?.succeeded ? amount(work.earned) : '',
        work?.speed ? Number(work.speed.toPrecision(3)).toLocaleString('en') : '',
      ],
    }
  })
}

function duration(ms: number): string {
  const seconds = Math.max(Math.floor(ms / 1000), 0)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
}

/** Six decimals at most, never rounded up. */
const amount = (tokens: string) => tokens.replace(/(\.\d{6})\d+$/, '$1')
