/** What this run of the agent has done at one edge, for each model: counted when the edge has taken a result or a lease has failed. */
import { formatAmount, parseAmount } from '#core/money.ts'
import { meter } from '#core/pricing.ts'
import type { Lease, Result } from '#core/protocol/lease.ts'
import type { Kind } from '#core/protocol/work.ts'

type Work = { kind: Kind; model: string; succeeded: number; failed: number; units: number; ms: number; earned: bigint }
/** What a finished lease comes to, once it is accepted. */
type Due = Pick<Work, 'kind' | 'model' | 'units' | 'ms' | 'earned'>
export type Tally = { works: Map<string, Work>; due: Map<string, Due> }

/** One model's work as it is shown; `speed` in units a second, null before the first success. */
export type WorkView = Omit<Work, 'earned' | 'ms'> & { earned: string; speed: number | null }

export function createTally(): Tally {
  return { works: new Map(), due: new Map() }
}

/** A lease has its result, after so many milliseconds of work. */
export function countResult(tally: Tally, lease: Lease, { outcome }: Result, ms: number): void {
  const { kind, model, maxUnits, prefix, terms } = lease
  if (outcome.status === 'failed') workOf(tally, kind, model).failed++
  if (outcome.status !== 'succeeded') return
  const units = meter(kind, outcome.usage, maxUnits - (prefix?.tokens ?? 0))
  const earned = terms ? parseAmount(terms.ask) * BigInt(Math.round(units)) : 0n
  tally.due.set(lease.id, { kind, model, units, ms, earned })
}

/** The edge has answered for a result. */
export function countReceipt(tally: Tally, lease: string, accepted: boolean): void {
  const due = tally.due.get(lease)
  tally.due.delete(lease)
  if (!due || !accepted) return
  const work = workOf(tally, due.kind, due.model)
  work.succeeded++
  work.units += due.units
  work.ms += due.ms
  work.earned += due.earned
}

export function viewOf(tally: Tally): WorkView[] {
  return [...tally.works.values()].map(({ earned, ms, ...work }) => ({
    ...work,
    earned: formatAmount(earned),
    speed: ms > 0 ? (work.units * 1000) / ms : null,
  }))
}

function workOf(tally: Tally, kind: Kind, model: string): Work {
  const key = `${kind} ${model}`
  const work = tally.works.get(key) ?? { kind, model, succeeded: 0, failed: 0, units: 0, ms: 0, earned: 0n }
  tally.works.set(key, work)
  return work
}
