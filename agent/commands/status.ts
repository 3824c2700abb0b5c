/** What the running agent does, what it has earned, and why it gets the work it gets. */
import { tellAgent } from '../control.ts'
import { panelOf } from '../panel.ts'
import { type Paints, screenOf, wrap } from '../screen.ts'
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
function standingOf({ earned, why }: Standing, edge: string, columns: number, { strong, faint }: Paints): string[] {
  const indented = (text: string, by: number) => wrap(text, columns - by).map((line) => ' '.repeat(by) + line)
  return [
    '',
    `  ${strong('earned')}  ${earned === null ? 'not known, for the edge does not say' : `${earned} tokens in all`}${edge && faint(`  ${edge}`)}`,
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
