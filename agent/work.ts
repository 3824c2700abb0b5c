/** Runs one lease on the runner it names and says how it went. Never throws: whatever goes wrong is the attempt's result. */
import type { Lease, Result } from '#core/protocol/lease.ts'
import { LIMITS } from '#core/protocol/values.ts'
import { sizeOf } from '#core/snapshot.ts'
import { type Runner, RunnerError, type RunOptions, toRunnerError } from './runner.ts'

export type Turns = <T>(runner: Runner, work: () => Promise<T>) => Promise<T>

export async function runLease(
  lease: Lease,
  runners: Runner[],
  turns: Turns,
  openInput: () => Promise<unknown>,
  signal: AbortSignal,
  onDelta: RunOptions['onDelta'],
): Promise<Result> {
  try {
    const runner = runners.find(({ kind, model }) => kind === lease.kind && model === lease.model)
    if (!runner) throw new RunnerError('not_offered', `${lease.kind} ${lease.model} is not offered here`)
    // Only in its turn, for the inputs of many leases together may be more than the memory holds.
    const { output, usage, devices } = await turns(runner, async () => {
      signal.throwIfAborted()
      const { maxUnits, prefix } = lease
      return runner.run(await openInput(), { signal, onDelta, maxUnits, prefix })
    })
    const bytes = sizeOf(output)
    if (bytes > LIMITS.outputBytes)
      throw new RunnerError('output_too_large', `the output has ${bytes} bytes, the limit is ${LIMITS.outputBytes}`)
    return { lease: lease.id, outcome: { status: 'succeeded', output, usage, ...(devices && { devices }) } }
  } catch (error) {
    const { code, message } = toRunnerError(error)
    return {
      lease: lease.id,
      outcome: { status: 'failed', error: { code: code.slice(0, 60), message: message.slice(0, 2000) } },
    }
  }
}

/** Lets each runner have no more than `concurrency` tasks at once; the others wait in order. */
export function createTurns(): Turns {
  const lines = new Map<Runner, { busy: number; waiting: (() => void)[] }>()
  return async (runner, work) => {
    const line = lines.get(runner) ?? { busy: 0, waiting: [] }
    lines.set(runner, line)
    if (line.busy < runner.concurrency) line.busy++
    else await new Promise<void>((resolve) => line.waiting.push(resolve))
    try {
      return await work()
    } finally {
      // The place is handed on, so nobody can slip in between.
      const next = line.waiting.shift()
      if (next) next()
      else line.busy--
    }
  }
}
