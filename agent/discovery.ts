/** Finds out what this machine can do: every candidate does real work before it may be offered. */
import type { Log } from './log.ts'
import { type Probe, type Runner, toRunnerError } from './runner.ts'

export type Found = { runner: Runner; probe: Probe }

/** A cold start may have to read the weights of a large model. */
const PROBE_MS = 120_000

/** Loads all at once, then probes one after another, so that each speed is measured on an otherwise idle machine. */
export async function probeAll(candidates: Runner[], log: Log, signal: AbortSignal): Promise<Found[]> {
  const limit = () => AbortSignal.any([signal, AbortSignal.timeout(PROBE_MS)])
  const loads = await Promise.allSettled(candidates.map((runner) => runner.load(limit())))
  const found: Found[] = []
  for (const [i, runner] of candidates.entries()) {
    const { kind, model } = runner
    try {
      if (loads[i]?.status === 'rejected') throw loads[i].reason
      const began = performance.now()
      const probe = await runner.probe(limit())
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
}
