/** The agent on a terminal: its log scrolls above a few lines that say how things stand. */
import type { StationView } from './station.ts'

type Screen = Pick<NodeJS.WriteStream, 'write' | 'columns'>

export type Live = {
  /** A line of the log, with its end. */
  print: (line: string) => void
  show: (view: StationView) => void
}

export function createLive(screen: Screen, now: () => number): Live {
  let drawn: string[] = []
  const wipe = () => (drawn.length > 0 ? `\u001b[${drawn.length}A\r\u001b[J` : '')
  const text = () => drawn.map((line) => `${line}\n`).join('')

  return {
    print: (line) => void screen.write(`${wipe()}${line}${text()}`),
    show(view) {
      const wiped = wipe()
      drawn = linesOf(view, now()).map((line) => [...line].slice(0, (screen.columns ?? 80) - 1).join(''))
      screen.write(`${wiped}${text()}`)
    },
  }
}

export function linesOf({ state, address, edges }: StationView, now: number): string[] {
  return [
    '',
    `  ${state === 'working' ? '●' : '‖'} ${state}  ${address}`,
    ...edges.flatMap(({ edge, online, slots, leases, works }) => {
      const done = works.reduce((sum, { succeeded }) => sum + succeeded, 0)
      const failed = works.reduce((sum, work) => sum + work.failed, 0)
      const earned = works.filter((work) => work.succeeded > 0)
      return [
        `    ${edge}  ${online ?? 'offline'}  ${leases.length}/${slots} slots  ${done} done${failed > 0 ? `, ${failed} failed` : ''}`,
        ...earned.map(
          ({ kind, model, earned, speed, succeeded }) =>
            `      ${kind} ${model}  ${succeeded} done  ${earned} earned${speed ? `  ${Number(speed.toPrecision(3))} units/s` : ''}`,
        ),
        ...leases.map(
          ({ kind, model, startedAt }) => `      ▸ ${kind} ${model}  ${((now - startedAt) / 1000).toFixed(0)} s`,
        ),
      ]
    }),
    '',
  ]
}
