/** A runner whose engine is another's program, with the devices on which that computes. */
import type { Runner } from './runner.ts'

/** What was seen is taken as true for so long: a server may move a model to another card. */
const SEEN_MS = 30_000

/**
 * @param look finds out while the engine is at work or has just been, so that its model is loaded. It is waited for after a probe;
 * work waits for nothing, and is said to be where the last look saw the engine
 */
export function placed(runner: Runner, look: () => Promise<string[] | undefined>, now = Date.now): Runner {
  let devices: string[] | undefined
  let seenAt = Number.NEGATIVE_INFINITY

  async function see() {
    if (now() - seenAt < SEEN_MS) return
    seenAt = now()
    devices = await look().catch(() => undefined)
  }

  return {
    ...runner,
    async probe(signal) {
      const probe = await runner.probe(signal)
      await see()
      return probe
    },
    ...(runner.check && {
      async check(signal) {
        await runner.check!(signal)
        void see()
      },
    }),
    async run(input, options) {
      const outcome = await runner.run(input, options)
      void see()
      return devices ? { ...outcome, devices } : outcome
    },
  }
}
