/** What one attempt at a stream has delivered, as a room keeps it: bounded, and only ever added to. */
import { addTexts, lengthOf, textsOf } from '#core/chat-joint.ts'
import { utf8Length } from '#core/pricing.ts'
import type { ChatPiece, ChatTexts } from '#core/protocol/chat-piece.ts'
import type { OutputFrame } from '#core/protocol/lease.ts'
import { LIMITS } from '#core/protocol/values.ts'
import type { Prefix } from '#core/protocol/work.ts'

/** Where an attempt goes on: in the task's whole text, and in what is beside it. */
export type Start = { offset: number; besideOffset: number }

export type OutputLog = {
  start: Start
  deltas: string[]
  /** Where each delta begins. */
  offsets: number[]
  end: number
  /** What came beside the text, by the index of the delta with which it came. */
  beside: Map<number, { piece: ChatPiece; offset: number }>
  besideEnd: number
  /** Of that, in JSON. */
  besideChars: number
  /** Output tokens of all deltas, as its agent counts them. */
  tokens: number
}

/** As much as a result may hold (two bytes a UTF-16 unit), in no more pieces than a chat may have tokens. */
const CHARS = LIMITS.outputBytes / 2
const DELTAS = 131_072

export const openLog = (start: Start): OutputLog => ({
  start,
  deltas: [],
  offsets: [],
  end: start.offset,
  beside: new Map(),
  besideEnd: start.besideOffset,
  besideChars: 0,
  tokens: 0,
})

/**
 * Adds what is new of a frame; nothing when it leaves a gap. Beyond the bounds nothing is kept: the result itself would be refused.
 * @returns whether anything was added
 */
export function addDeltas(log: OutputLog, { from, deltas, tokens, beside }: OutputFrame): boolean {
  const before = log.deltas.length
  if (from > before) return false
  for (let i = before - from; i < deltas.length; i++) {
    const delta = deltas[i]!
    const piece = beside?.[i]
    const chars = piece ? JSON.stringify(piece).length : 0
    if (log.end + log.besideChars + delta.length + chars > CHARS || log.deltas.length >= DELTAS) break
    if (piece) {
      log.beside.set(log.deltas.length, { piece, offset: log.besideEnd })
      log.besideEnd += lengthOf(textsOf(piece))
      log.besideChars += chars
    }
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

/** All that an attempt delivered. A token is never shorter than a byte of what it is, whatever the agent counted. */
export function deliveredOf(log: OutputLog): Prefix {
  const text = textOf(log)
  if (log.beside.size === 0) return { text, tokens: Math.min(log.tokens, utf8Length(text)) }
  let beside: ChatTexts = {}
  for (const { piece } of log.beside.values()) beside = addTexts(beside, textsOf(piece))
  const bytes = Object.values(beside).reduce((sum, one) => sum + utf8Length(one), utf8Length(text))
  return { text, tokens: Math.min(log.tokens, bytes), beside }
}
