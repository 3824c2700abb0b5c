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

  const done = (label: string, text: string) => line(`${green('✓')} ${label.padEnd(LABEL)}${text}`)

  /** One step of work: its label while it runs, and what came of it with its time. */
  async function step<T>(label: string, work: () => Promise<T>, tell: (result: T) => string): Promise<T> {
    const start = performance.now()
    const stopSpinner = live ? spin(label) : () => {}
    try {
      const result = await work()
      stopSpinner()
      const took = seconds(performance.now() - start)
      done(label, `${tell(result)}  ${dim(took)}`)
      return result
    } catch (error) {
      stopSpinner()
      line(`${red('✗')} ${label}`)
      throw error
    }
  }

  let drawn = 0
  /** Lines that take the place of those drawn before; none wipes them away. Only where somebody looks. */
  function draw(lines: string[]): void {
    if (!live) return
    write(`${drawn > 0 ? `\u001b[${drawn}A` : ''}\r\u001b[J${lines.map((text) => `${text}\n`).join('')}`)
    drawn = lines.length
  }

  /** Rows in columns as wide as they need, under a faint head; nothing but the rows, with tabs, where nobody looks. */
  function table(head: string[], rows: string[][]): void {
    const lines = live ? tableLines(head, rows) : rows.map((row) => row.map(plain).join('\t'))
    for (const text of lines) write(`${text}\n`)
  }

  function tableLines(head: string[], rows: string[][]): string[] {
    const cells = rows.map((row) => row.map(plain))
    const widths = head.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]!.length)))
    const lay = (row: string[]) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd()
    return [`  ${dim(lay(head))}`, ...cells.map((row) => `  ${lay(row)}`)]
  }

  function spin(label: string): () => void {
    let frame = 0
    const turn = () => write(`\r  ${cyan(SPINNER[frame++ % SPINNER.length]!)} ${label}`)
    turn()
    const timer = setInterval(turn, 80)
    return () => {
      clearInterval(timer)
      write('\r\u001b[2K')
    }
  }

  return {
    live,
    line,
    step,
    done,
    draw,
    /** Turns beside a label until the returned function is called; only where somebody looks. */
    spin: (label: string) => (live ? spin(label) : () => {}),
    table,
    tableLines,
    bar: (share: number, width: number) => {
      const filled = Math.round(Math.min(Math.max(share, 0), 1) * width)
      return `${cyan('━'.repeat(filled))}${dim('─'.repeat(width - filled))}`
    },
    heading: (text: string) => write(`\n  ${bold(text)}\n\n`),
    note: (text: string) => line(dim(text)),
    /** A label and its text, aligned with the steps. */
    item: (label: string, text: string) => line(`  ${dim(label.padEnd(LABEL))}${text}`),
    warning: (what: string, mend: string) => line(`${red('!')} ${what} ${dim(mend)}`),
    fault: (what: string, mend: string) => line(`${red('✗')} ${plain(what)} ${plain(mend)}`),
    /** Begins a line whose text comes piece by piece. */
    begin: (label: string) => write(`    ${dim(label.padEnd(LABEL))}`),
    piece: (text: string) => write(text),
    /** Text of others: as it is for programs, without what would steer a terminal. */
    text: (text: string) => write(live ? plain(text) : text),
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

/** Without control characters, by which text of others could steer a terminal. */
const plain = (text: string): string => text.replace(/(?![\n\t])\p{Cc}/gu, '')
