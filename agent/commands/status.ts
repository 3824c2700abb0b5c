/** What the running agent does, what it has earned, and why it gets the work it gets. */
import { tellAgent } from '../control.ts'
import type { Standing, StationView } from '../station.ts'

type Status = StationView & { standings: Standing[] }

/** @returns the exit code */
export async function status(state: string, json: boolean): Promise<number> {
  const told = (await tellAgent(state, 'status')) as Status | undefined
  if (json) process.stdout.write(`${JSON.stringify(told ?? { state: 'off' })}\n`)
  else process.stdout.write(told ? `${linesOf(told).join('\n')}\n` : `no agent runs on ${state}\n`)
  return told ? 0 : 1
}

function linesOf({ state, address, edges, standings }: Status): string[] {
  return [
    `${address}  ${state}`,
    ...edges.flatMap(({ edge, online, cell, slots, leases, works }, i) => {
      const { earned, why } = standings[i]!
      return [
        '',
        `${edge}  ${online ? `online by ${online}, cell ${cell}` : 'offline'}, ${leases.length} of ${slots} slots in use`,
        ...leases.map(
          ({ kind, model, startedAt }) => `  runs    ${kind} ${model} for ${seconds(Date.now() - startedAt)}`,
        ),
        ...works.map(
          ({ kind, model, succeeded, failed, earned, speed }) =>
            `  done    ${kind} ${model}: ${succeeded}, failed ${failed}, earned ${earned}${speed ? `, ${Number(speed.toPrecision(3))} units/s` : ''}`,
        ),
        `  earned  ${earned ?? 'not known, for the edge does not say'}${earned ? ' in all' : ''}`,
        ...(why?.advice ?? []).map((advice) => `  advice  ${advice}`),
        ...(why?.offers ?? []).flatMap(({ kind, model, ranks, waiting, recent }) => [
          `  why     ${kind} ${model}: ${ranks.find(({ preference }) => preference === 'balanced')?.explanation ?? ''}`,
          `          ${waiting.explanation}`,
          `          ${recent.explanation}`,
        ]),
      ]
    }),
  ]
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`
