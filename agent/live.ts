/** The agent on a terminal: its log scrolls above a few lines that say how things stand. */
import { panelOf } from './panel.ts'
import { paintsFor, wrap } from './screen.ts'
import type { StationView } from './station.ts'

type Screen = Pick<NodeJS.WriteStream, 'write' | 'columns' | 'rows' | 'hasColors'>

/** What a line of the log goes on with stands below its words, not below its time. */
const HANGING = 11

export type Live = {
  /** A line of the log, with its end. */
  print: (line: string) => void
  show: (view: StationView) => void
}

export function createLive(screen: Screen, now: () => number): Live {
  const paints = paintsFor(screen.hasColors())
  let drawn: string[] = []
  const columns = () => (screen.columns ?? 80) - 1
  const wipe = () => (drawn.length > 0 ? `\u001b[${drawn.length}A\r\u001b[J` : '')
  const text = () => drawn.map((line) => `${line}\n`).join('')

  return {
    print(line) {
      const [first, ...rest] = wrap(line.trimEnd(), columns() - HANGING)
      const lines = [first, ...rest.map((part) => ' '.repeat(HANGING) + part)]
      screen.write(`${wipe()}${lines.join('\n')}\n${text()}`)
    },
    show(view) {
      const wiped = wipe()
      drawn = within(panelOf(view, now(), columns(), paints), screen.rows ?? 24)
      screen.write(`${wiped}${text()}`)
    },
  }
}

/** What has left the screen could not be wiped, and a few lines of the log are to be seen. */
function within(lines: string[], rows: number): string[] {
  const most = Math.max(rows - 6, 3)
  const more = lines.length - most
  return [
    '',
    ...(more > 0 ? [...lines.slice(0, most - 1), `    … ${more + 1} more lines: daicn-agent status`] : lines),
    '',
  ]
}
