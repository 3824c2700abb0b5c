/** What the running agent does, what it has earned, and why it gets the work it gets. */
import type { Earnings } from '#core/protocol/provider.ts'
import { tellAgent } from '../control.ts'
import { panelOf } from '../panel.ts'
import { cut, type Paints, padEnd, padStart, printable, screenOf, widthOf, wrap } from '../screen.ts'
import type { Standing, StationView } from '../station.ts'

type Status = StationView & { standings: Standing[] }

/** @returns the exit code */
export async function status(state: string, json: boolean): Promise<number> {
  const { stdout } = process
  const told = (await tellAgent(state, 'status')) as Status | undefined
  if (json) stdout.write(`${JSON.stringify(told ?? { state: 'off' })}\n`)
  else if (!told) stdout.write(`no agent runs on ${state}\n`)
  else {
    const { columns, paints } = screenOf(stdout)
    stdout.write(`${linesOf(told, Date.now(), columns, paints).join('\n')}\n`)
  }
  return told ? 0 : 1
}

export function linesOf(status: Status, now: number, columns: number, paints: Paints): string[] {
  const { edges, standings } = status
  return [
    '',
    ...panelOf(status, now, columns, paints),
    ...edges.flatMap(({ edge }, i) => standingOf(standings[i]!, edges.length > 1 ? edge : '', columns, paints)),
    '',
  ]
}

/** @param edge named where there are several */
function standingOf({ earnings, why }: Standing, edge: string, columns: number, paints: Paints): string[] {
  const { strong, faint } = paints
  const indented = (text: string, by: number) => wrap(text, columns - by).map((line) => ' '.repeat(by) + line)
  return [
    '',
    `  ${strong('earned')}  ${earnings ? `${earnings.earned} tokens in all` : 'not known, for the edge does not say'}${edge && faint(`  ${edge}`)}`,
    ...(earnings ? devicesOf(earnings, columns, paints) : []),
    ...(why?.advice ?? []).flatMap((advice) => indented(advice, 4)),
    ...(why?.offers ?? []).flatMap(({ kind, model, ranks, waiting, recent }) => [
      '',
      ...indented(`${kind} ${model}`, 2).map(strong),
      ...[ranks.find(({ preference }) => preference === 'balanced'), waiting, recent].flatMap((part) =>
        part ? indented(part.explanation, 4) : [],
      ),
    ]),
  ]
}

const INDENT = 4
const GAP = 2
/** Of a device's id, enough to tell two alike apart. */
const ID_COLUMNS = 14

/** A table of what each device has earned, and what is left of all that. */
function devicesOf({ devices, unknown }: Earnings, columns: number, { faint }: Paints): string[] {
  const rows = devices.map(({ id, name, tasks, earned }) => [
    printable(`${name ?? 'no longer registered'}  ${cut(id, ID_COLUMNS)}`),
    tasks.toLocaleString('en'),
    earned,
  ])
  const table = [['by device', 'tasks', 'tokens'], ...rows, ...(unknown === '0' ? [] : [['not known', '', unknown]])]
  const [tasksWidth, earnedWidth] = [1, 2].map((i) => Math.max(...table.map((row) => widthOf(row[i]!))) + GAP)
  const most = columns - INDENT - tasksWidth! - earnedWidth!
  const nameWidth = Math.min(most, Math.max(...table.map(([name]) => widthOf(name!))))
  return table.map(([name, tasks, earned], i) => {
    const cells = padStart(tasks!, tasksWidth!) + padStart(earned!, earnedWidth!)
    const line = ' '.repeat(INDENT) + padEnd(cut(name!, nameWidth), nameWidth) + cells
    return i === 0 ? faint(line) : line
  })
}
