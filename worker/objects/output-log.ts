/** What one attempt at a stream has delivered, as a room keeps it: bounded, and only ever added to. */
import type { OutputFrame } from '#core/protocol/lease.ts'
import { LIMITS } from '#core/protocol/values.ts'

export type OutputLog = {
  /** Where it begins in the task's whole text. */
  offset: number
  deltas: string[]
  /** Where each delta begins. */
  offsets: number[]
  end: number
  /** Output tokens of all deltas, as its agent counts them. */
  tokens: number
}

/** As much text as a result may hold (two bytes a UTF-16 unit), in no more pieces than a chat may have tokens. */
const CHARS = LIMITS.outputBytes / 2
const DELTAS = 131_072

export const openLog = (offset: number): OutputLog => ({ offset, deltas: [], offsets: [], end: offset, tokens: 0 })

/**
 * Adds what is new of a frame; nothing when it leaves a gap. Beyond the bounds nothing is kept: the result itself would be refused.
 * @returns whether anything was added
 */
export function addDeltas(log: OutputLog, { from, deltas, tokens }: OutputFrame): boolean {
  const before = log.deltas.length
  if (from > before) return false
  for (let i = before - from; i < deltas.length; i++) {
    const delta = deltas[i]!
    if (log.end + delta.length > CHARS || log.deltas.length >= DELTAS) break
    log.deltas.push(delta)
    log.offsets.push(log.end)
    log.end += delta.length
    log.tokens += tokens?.[i] ?? 1
  }
  return log.deltas.length > before
}

export const textOf = (log: OutputLog): string => log.deltas.join('')

/** Where the delta of this index begins, or will; null for one that the log cannot tell. */
export function offsetOf(log: OutputLog, index: number): number | null {
  return index === log.deltas.length ? log.end : (log.offsets[index] ?? null)
}
