/** Text on a terminal: how wide it is, cut to cut, in colours that are legible on dark and on light. */

export type Paint = (text: string) => string
export type Paints = Record<'strong' | 'faint' | 'good' | 'warn' | 'bad', Paint>

const CODES = { strong: [1, 22], faint: [2, 22], good: [32, 39], warn: [33, 39], bad: [31, 39] } as const

/** The terminal's own colours, for only those fit the owner's background; none where they are not wanted. */
export const paintsFor = (isColoured: boolean): Paints =>
  Object.fromEntries(
    Object.entries(CODES).map(([name, [on, off]]) => [
      name,
      (text: string) => (isColoured && text ? `\u001b[${on}m${text}\u001b[${off}m` : text),
    ]),
  ) as Paints

/** Lines longer than this are hard to read. */
const MOST_COLUMNS = 120

/** How text is to be told on a stream, which may be no terminal. */
export const screenOf = (stream: NodeJS.WriteStream): { columns: number; paints: Paints } => ({
  columns: Math.min((stream.columns ?? MOST_COLUMNS + 1) - 1, MOST_COLUMNS),
  paints: paintsFor(stream.isTTY && stream.hasColors()),
})

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u

/** Columns that a text takes. */
export const widthOf = (text: string): number => [...text].reduce((sum, char) => sum + (WIDE.test(char) ? 2 : 1), 0)

/** Names are of others' making: what would move the cursor is left out. */
export const printable = (text: string): string => text.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '')

/** At most so many columns, of which the middle is left out: ends tell names apart. */
export function cut(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text
  const take = (chars: string[], most: number) => {
    let end = 0
    for (let left = most; end < chars.length && widthOf(chars[end]!) <= left; end++) left -= widthOf(chars[end]!)
    return chars.slice(0, end)
  }
  const head = take([...text], Math.ceil((columns - 1) / 2))
  const tail = take([...text].reverse(), Math.floor((columns - 1) / 2))
  return `${head.join('')}…${tail.reverse().join('')}`
}

/** Lines of at most so many columns, broken between words. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = []
  for (const word of printable(text).split(' ')) {
    const longer = lines.length > 0 ? `${lines.at(-1)} ${word}` : word
    if (lines.length > 0 && widthOf(longer) <= columns) lines[lines.length - 1] = longer
    else lines.push(cut(word, columns))
  }
  return lines
}

export const padEnd = (text: string, columns: number): string => text + ' '.repeat(Math.max(columns - widthOf(text), 0))
export const padStart = (text: string, columns: number): string =>
  ' '.repeat(Math.max(columns - widthOf(text), 0)) + text
