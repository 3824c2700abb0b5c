import { maxUnits, meter } from '#core/pricing.ts'
import type { Kind } from '#core/protocol/work.ts'
import type { Outcome, Runner } from './runner.ts'

/** Runs one input on a runner and returns its outcome with the speed it showed, in units a second. */
export async function measure(
  run: Runner['run'],
  kind: Kind,
  input: Record<string, unknown>,
  signal: AbortSignal,
  now: () => number = () => performance.now(),
): Promise<Outcome & { speed: number }> {
  const limit = maxUnits(kind, input)
  const started = now()
  const outcome = await run(input, { signal, onDelta: () => {}, maxUnits: limit })
  const seconds = Math.max(now() - started, 1) / 1000
  return { ...outcome, speed: Math.max(meter(kind, outcome.usage, limit), 1) / seconds }
}
