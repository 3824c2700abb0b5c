/** Joins what a model writes on from a text to that text, of which it may write the end again. */
import type { RunOptions } from './runner.ts'

export type Seam = {
  push: RunOptions['onDelta']
  /** Tokens that held nothing but known text. */
  repeated: () => number
  /** True once the model has written more than it may. */
  isCut: () => boolean
  /** What the model wrote after the known text. */
  rest: () => string
}

/** How long the beginning is that two texts share. */
function commonLength(one: string, other: string): number {
  let length = 0
  while (length < one.length && one[length] === other[length]) length++
  return length
}

/**
 * @param known what the model may write first, again; what it writes in place of the end of that follows the known text
 * @param most tokens to let through
 */
export function createSeam(known: string, onDelta: RunOptions['onDelta'], most: number): Seam {
  let matched = 0
  let rest = ''
  let repeated = 0
  let told = 0
  let isCut = false

  return {
    push(text, tokens) {
      const again = rest === '' ? commonLength(known.slice(matched, matched + text.length), text) : 0
      matched += again
      const fresh = text.slice(again)
      if (fresh === '') {
        repeated += tokens
        return
      }
      isCut ||= told + tokens > most
      if (isCut) return
      told += tokens
      rest += fresh
      onDelta(fresh, tokens)
    },
    repeated: () => repeated,
    isCut: () => isCut,
    rest: () => rest,
  }
}
