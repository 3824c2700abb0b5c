const FIRST_MS = 500
const LONGEST_MS = 30_000

/** Milliseconds before try number `attempt` (from 0): doubles up to 30 s, spread over its upper half by `random` (0..1). */
export function retryDelay(attempt: number, random: number): number {
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 16))
  return Math.round(ceiling * (0.5 + random / 2))
}
