/** Joins what a model writes to a text that was delivered before: nothing is told twice and nothing left out. */
import { RunnerError, type RunOptions } from './runner.ts'

export type Seam = {
  push: RunOptions['onDelta']
  /** True once the model has written something else than the known text, where it may not. */
  differs: () => boolean
  /** Tokens that held nothing but known text. */
  repeated: () => number
  /** True once the model has written more than it may. */
  isCut: () => boolean
  /** What the model wrote after the known text. Throws RunnerError when it wrote another, or not all of it. */
  rest: () => string
}

/** How long the beginning is that two texts share. */
function commonLength(one: string, other: string): number {
  let length = 0
  while (length < one.length && one[length] === other[length]) length++
  return length
}

/**
 * @param known what the model is expected to write first, again
 * @param mayDiffer it may also leave out the end of that: then what it writes instead follows the known text
 * @param most tokens to let through
 */
export function createSeam(
  known: string,
  onDelta: RunOptions['onDelta'],
  { mayDiffer = false, most = Number.POSITIVE_INFINITY } = {},
): Seam {
  let matched = 0
  let rest = ''
  let differs = false
  let repeated = 0
  let told = 0
  let isCut = false

  return {
    push(text, tokens) {
      if (differs) return
      const again = rest === '' ? commonLength(known.slice(matched, matched + text.length), text) : 0
      matched += again
      const fresh = text.slice(again)
      if (fresh === '') {
        repeated += tokens
        return
      }
      differs = matched < known.length && !mayDiffer
      isCut ||= told + tokens > most
      if (differs || isCut) return
      told += tokens
      rest += fresh
      onDelta(fresh, tokens)
    },
    differs: () => differs,
    repeated: () => repeated,
    isCut: () => isCut,
    rest() {
      if (matched === known.length || mayDiffer) return rest
      throw new RunnerError('cannot_continue', 'the model does not write again what was delivered before')
    },
  }
}
