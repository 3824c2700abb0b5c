import { setTimeout } from 'node:timers/promises'

/** Every wait of the connection, milliseconds; tests pass shorter ones. */
export const TIMING = {
  /** First wait after a failure; doubles up to `backoffMaxMs`. */
  backoffMs: 500,
  backoffMaxMs: 10_000,
  /** How long a socket may take to open. */
  openMs: 10_000,
  /** How long the edge may leave a frame without an answer. */
  answerMs: 30_000,
  /** Idle time after which the socket is pinged. */
  pingMs: 60_000,
  /** How long to stay with long polls before the socket is tried again. */
  socketRetryMs: 60_000,
  /** Least time between polls that brought nothing, for an edge that does not hold them. */
  emptyPollMs: 1000,
  /** How long after something was earned its vouchers are asked for; doubles up to `collectMaxMs` while more is earned. */
  collectMs: 2_000,
  collectMaxMs: 60_000,
  /** How often it is asked who wants to leave, where requesters sign themselves. */
  lookMs: 90_000,
  /** How long the end of a task waits for the edge to have its whole stream. */
  streamEndMs: 2000,
}
export type Timing = typeof TIMING

/** Jittered exponential backoff: between half and all of base * 2^failures, at most `backoffMaxMs`. */
export function backoff(failures: number, timing: Timing, random: () => number): number {
  return Math.min(timing.backoffMaxMs, timing.backoffMs * 2 ** failures) * (0.5 + random() / 2)
}

/** Resolves after `ms`, or at once when the signal aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal }).catch(() => {})
}
