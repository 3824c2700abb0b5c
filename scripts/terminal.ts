/** Calm lines on a terminal: one width of labels, little colour, and none where nobody looks. */
import type { WriteStream } from 'node:tty'

type Stream = NodeJS.WritableStream & Partial<Pick<WriteStream, 'isTTY' | 'columns'>>

export type Terminal = ReturnType<typeof terminal>

const LABEL = 14
const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']

export function terminal(stream: Stream) {
  const live = stream.isTTY === true
  const coloured = live && !process.env.NO_COLOR && process.env.TERM !== 'dumb'
  const paint = (code: number) => (text: string) => (coloured ? `\u001b[${code}m${text}\u001b[0m` : text)
  const [bold, dim, green, red, cyan] = [1, 2, 32, 31, 36].map(paint) as [Paint, Paint, Paint, Paint, Paint]
  const write = (text: string) => void stream.write(text)
  const line = (text = '') => write(text === '' ? '\n' : `  ${text}\n`)

  /** One step of work: its label while it runs, and what came of it with its time. */
  async function step<T>(label: string, work: () => Promise<T>, tell: (result: T) => string): Promise<T> {
    const start = performance.now()
    const stopSpinner = live ? spin(label) : () => {}
    try {
      const result = await work()
      stopSpinner()
      const took = seconds(performance.now() - start)
      line(`${green('✓')} ${label.padEnd(LABEL)}${tell(result)}  ${dim(took)}`)
      return result
    } catch (error) {
      stopSpinner()
      line(`${red('✗')} ${label}`)
      throw error
    }
  }

  function spin(label: string): () => void {
    let frame = 0
    const draw = () => write(`\r  ${cyan(SPINNER[frame++ % SPINNER.length]!)} ${label}`)
    draw()
    const timer = setInterval(draw, 80)
    return () => {
      clearInterval(timer)
      write('\r\u001b[2K')
    }
  }

  return {
    line,
    step,
    heading: (text: string) => write(`\n  ${bold(text)}\n\n`),
    note: (text: string) => line(dim(text)),
    /** A label and its text, aligned with the steps. */
    item: (label: string, text: string) => line(`  ${dim(label.padEnd(LABEL))}${text}`),
    warning: (what: string, mend: string) => line(`${red('!')} ${what} ${dim(mend)}`),
    fault: (what: string, mend: string) => line(`${red('✗')} ${what} ${mend}`),
    /** Begins a line whose text comes piece by piece. */
    begin: (label: string) => write(`    ${dim(label.padEnd(LABEL))}`),
    piece: (text: string) => write(text),
    good: green,
    bad: red,
    strong: bold,
    faint: dim,
    accent: cyan,
    /** Where running text starts, so that its next lines can be put below its first. */
    indent: ' '.repeat(4 + LABEL),
    width: Math.min(stream.columns ?? 100, 100),
  }
}

type Paint = (text: string) => string

export function seconds(ms: number): string {
  return ms < 1000 ? `${Math.max(1, Math.round(ms))} ms` : `${(ms / 1000).toFixed(1)} s`
}
