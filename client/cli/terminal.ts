/** Calm lines on a terminal: one width of labels, little colour, and none where nobody looks. */
import type { WriteStream } from 'node:tty'

type Stream = NodeJS.WritableStream & Partial<Pick<WriteStream, 'isTTY' | 'columns' | 'rows'>>

export type Terminal = ReturnType<typeof terminal>

const LABEL = 14
/** Where the text beside a label begins. */
const INDENT = 4 + LABEL
const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']

export function terminal(stream: Stream) {
  const live = stream.isTTY === true
  const coloured = live && !process.env.NO_COLOR && process.env.TERM !== 'dumb'
  const paint = (code: number) => (text: string) => (coloured ? `\u001b[${code}m${text}\u001b[0m` : text)
  const [bold, dim, green, red, cyan] = [1, 2, 32, 31, 36].map(paint) as [Paint, Paint, Paint, Paint, Paint]
  const write = (text: string) => void stream.write(text)
  /** @param hang where the text's further lines begin, should it be too long for one; where nobody looks it stays one */
  const line = (text = '', hang = 2) => {
    const told = live ? folded(text, columns() - 3, hang) : text
    write(told === '' ? '\n' : `  ${told}\n`)
  }

  /** As it is now: people drag their windows. */
  const columns = () => stream.columns ?? 100
  const rows = () => stream.rows ?? 50

  const done = (label: string, text: string) => line(`${green('✓')} ${label.padEnd(LABEL)}${text}`, INDENT)

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
    // A line that wraps, or one that has left the screen, could not be taken back.
    const seen = lines.slice(0, rows() - 1).map((text) => clip(text, columns() - 1))
    write(`${drawn > 0 ? `\u001b[${drawn}A` : ''}\r\u001b[J${seen.map((text) => `${text}\n`).join('')}`)
    drawn = seen.length
  }

  /** Rows in columns as wide as they need and the terminal allows, under a faint head; nothing but the rows, with tabs, where nobody looks. */
  function table(head: string[], rows: string[][]): void {
    const lines = live ? tableLines(head, rows) : rows.map((row) => row.map(cellOf).join('\t'))
    for (const text of lines) write(`${text}\n`)
  }

  function tableLines(head: string[], rows: string[][]): string[] {
    const cells = rows.map((row) => row.map(cellOf))
    const needed = head.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]!.length)))
    const widths = fitted(needed, columns() - 1 - 2 * head.length)
    const lay = (row: string[]) =>
      row
        .map((cell, i) => shorten(cell, widths[i]!).padEnd(widths[i]!))
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
    item: (label: string, text: string) => line(`  ${dim(label.padEnd(LABEL))}${text}`, INDENT),
    warning: (what: string, mend: string) => line(`${red('!')} ${what} ${dim(mend)}`, 4),
    fault: (what: string, mend: string) => line(`${red('✗')} ${plain(what)} ${plain(mend)}`, 4),
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
    indent: ' '.repeat(INDENT),
    width: Math.min(columns(), 100),
  }
}

type Paint = (text: string) => string

export function seconds(ms: number): string {
  return ms < 1000 ? `${Math.max(1, Math.round(ms))} ms` : `${(ms / 1000).toFixed(1)} s`
}

/** A column is not made narrower than this. */
const NARROWEST = 6

/** Widths that together take no more than `room`, as far as can be: the widest give way first. */
function fitted(needed: number[], room: number): number[] {
  const widths = [...needed]
  for (let over = widths.reduce((sum, width) => sum + width, 0) - room; over > 0; over--) {
    const widest = widths.indexOf(Math.max(...widths))
    if (widths[widest]! <= NARROWEST) break
    widths[widest]!--
  }
  return widths
}

/** Names are known by their beginning; an id or an address by its end too. */
function shorten(text: string, width: number): string {
  if (text.length <= width) return text
  if (/\s/.test(text)) return `${text.slice(0, width - 1)}…`
  const tail = Math.floor((width - 1) / 3)
  return `${text.slice(0, width - 1 - tail)}…${text.slice(text.length - tail)}`
}

/** Text in lines that end between words; those after the first begin in column `hang`, as the first does in column 2. */
function folded(text: string, width: number, hang: number): string {
  let column = 0
  return text.replace(/(\s*)(\S+)/g, (both, space: string, word: string) => {
    const length = word.replace(COLOUR, '').length
    const fits = column === 0 || column + space.length + length <= width
    column = fits ? column + space.length + length : hang - 2 + length
    return fits ? both : `\n${' '.repeat(hang)}${word}`
  })
}

const COLOUR = /\p{Cc}\[\d+m/gu

/** The beginning of a line, of so many characters that are seen. */
function clip(text: string, width: number): string {
  let seen = 0
  return text.replace(/(\p{Cc}\[\d+m)|./gsu, (character, colour) => (colour || seen++ < width ? character : ''))
}

/** A cell is one line, and nothing in it turns the direction of the others. */
const cellOf = (text: string): string => text.replace(/\s+/g, ' ').replace(/[\p{Cc}\p{Cf}]/gu, '')

/** Without control characters, by which text of others could steer a terminal. */
const plain = (text: string): string => text.replace(/(?![\n\t])\p{Cc}/gu, '')
