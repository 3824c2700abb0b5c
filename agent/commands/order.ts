/** Tells the running agent what to do. */
import { tellAgent } from '../control.ts'
import type { StationView } from '../station.ts'

const DONE = {
  pause: 'paused: it takes no more work',
  resume: 'it takes work again',
  drain: 'it takes no more work, and ends when the last is done',
} as const

/** @returns the exit code */
export async function order(word: keyof typeof DONE, state: string): Promise<number> {
  const view = (await tellAgent(state, word)) as StationView | undefined
  if (!view) {
    process.stderr.write(`no agent runs on ${state}\n`)
    return 1
  }
  const running = view.edges.reduce((sum, { leases }) => sum + leases.length, 0)
  process.stdout.write(`${DONE[word]}; ${running} running\n`)
  return 0
}
