/** The network socket's frames, checked and folded into one snapshot. Pure. */
import type { NetworkFrame, NetworkSnapshot } from './protocol/network.ts'

export type FeedState = { seq: number; snapshot: NetworkSnapshot }

type Check = (value: unknown) => boolean
const isObject: Check = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)
const FIELDS: { [Field in keyof NetworkSnapshot]: Check } = {
  at: Number.isFinite,
  metrics: isObject,
  reputation: (value) => value === null || isObject(value),
  health: Array.isArray,
  status: isObject,
  minutes: Array.isArray,
  latest: Array.isArray,
  matches: Array.isArray,
  simulated: (value) => typeof value === 'boolean',
  providers: Array.isArray,
}

/** Null for text that is no frame of the protocol. Fields this version does not know are let through. */
export function parseFrame(text: string): NetworkFrame | null {
  let frame: Partial<Record<string, unknown>>
  try {
    frame = JSON.parse(text)
  } catch {
    return null
  }
  if (!isObject(frame) || !Number.isSafeInteger(frame.seq)) return null
  const fields = (frame.type === 'snapshot' ? frame.snapshot : frame.changes) as Record<string, unknown>
  if (!isObject(fields)) return null
  const partial = frame.type === 'delta'
  if (!partial && frame.type !== 'snapshot') return null
  const sound = Object.entries(FIELDS).every(([name, check]) => (partial && !(name in fields)) || check(fields[name]))
  return sound ? (frame as NetworkFrame) : null
}

/** The state after a frame, or null when frames were missed and only a new snapshot can help. */
export function applyFrame(state: FeedState | null, frame: NetworkFrame): FeedState | null {
  if (frame.type === 'snapshot') return { seq: frame.seq, snapshot: frame.snapshot }
  if (!state || frame.seq !== state.seq + 1) return null
  return { seq: frame.seq, snapshot: { ...state.snapshot, ...frame.changes } }
}
