/** Finds out what this machine can do: every candidate does real work before it may be offered. */
import type { Log } from './log.ts'
import { type Probe, type Runner, type RunnerError, toRunnerError } from './runner.ts'

export type Found = { runner: Runner; probe: Probe }

/** A cold start may have to read the weights of a large model. */
const PROBE_MS = 120_000
/** What may be the moment's fault, as of a machine that is starting much else: tried once more. */
const PASSING = new Set(['runner_hung', 'runner_crashed', 'aborted'])

/** Loads all at once, then probes one after another, so that each speed is measured on an otherwise idle machine. */
export async function probeAll(candidates: Runner[], log: Log, signal: AbortSignal): Promise<Found[]> {
  const limit = () => AbortSignal.any([signal, AbortSignal.timeout(PROBE_MS)])
  const failures = await Promise.all(
    candidates.map((runner) => runner.load(limit()).then(() => undefined, toRunnerError)),
  )
  const found: Found[] = []
  for (const [i, runner] of candidates.entries()) {
    const { kind, model } = runner
    try {
      const began = performance.now()
      const probe = await probeOnce(runner, failures[i]).catch((error) => probeAgain(runner, error))
      const ms = Math.round(performance.now() - began)
      log('found', { kind, model, speed: probe.speed, context: probe.context, ms })
      found.push({ runner, probe })
    } catch (error) {
      const { message, mend } = toRunnerError(error)
      log('missing', { kind, model, why: message, mend })
      await runner.close()
    }
  }
  return found

  async function probeOnce(runner: Runner, failure: RunnerError | undefined): Promise<Probe> {
    if (failure) throw failure
    return await runner.probe(limit())
  }

  async function probeAgain(runner: Runner, error: unknown): Promise<Probe> {
    if (!PASSING.has(toRunnerError(error).code) || signal.aborted) throw error
    await runner.load(limit())
    return runner.probe(limit())
  }
}
