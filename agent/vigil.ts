/**
 * Keeps an eye on runners whose engine is another's program: each does a little real work now and then, and one that fails three
 * times in a row is not offered any more until it works again.
 */
import { type Runner, toRunnerError } from './runner.ts'
import { pause } from './timing.ts'

export type VigilTiming = {
  /** Between two looks at one that works, and at one that was withdrawn. */ everyMs: number /** After a failure. */
  againMs: number /** For one look. */
  mostMs: number
}

export const VIGIL: VigilTiming = { everyMs: 60_000, againMs: 5000, mostMs: 30_000 }
const FAILURES = 3

export type Vigil = {
  /** What it was given is wanted at once, as a task of it has failed. */
  doubt: (runner: Runner) => void
  end: () => Promise<void>
}

/**
 * @param hasWorked when the runner last finished a task: a task done since the last look is as good as a look
 * @param onChange a runner was withdrawn for a reason, or works again
 */
export function keepVigil(
  runners: Runner[],
  hasWorked: (runner: Runner) => number,
  onChange: (runner: Runner, reason: string | undefined) => void,
  now: () => number,
  timing: VigilTiming,
): Vigil {
  const ending = new AbortController()
  const doubts = new Map<Runner, () => void>()

  async function watch(runner: Runner, check: NonNullable<Runner['check']>) {
    let failures = 0
    for (;;) {
      const lookedAt = now()
      const doubted = new AbortController()
      doubts.set(runner, () => doubted.abort())
      const isFailing = failures > 0 && failures < FAILURES
      await pause(isFailing ? timing.againMs : timing.everyMs, AbortSignal.any([ending.signal, doubted.signal]))
      doubts.delete(runner)
      if (ending.signal.aborted) return
      if (failures === 0 && hasWorked(runner) > lookedAt && !doubted.signal.aborted) continue
      try {
        await check(AbortSignal.any([ending.signal, AbortSignal.timeout(timing.mostMs)]))
        if (failures >= FAILURES) onChange(runner, undefined)
        failures = 0
      } catch (error) {
        if (ending.signal.aborted) return
        failures++
        if (failures === FAILURES) onChange(runner, toRunnerError(error).message)
      }
    }
  }

  const watching = runners.flatMap((runner) => (runner.check ? [watch(runner, runner.check)] : []))
  return {
    doubt: (runner) => doubts.get(runner)?.(),
    async end() {
      ending.abort()
      await Promise.all(watching)
    },
  }
}
