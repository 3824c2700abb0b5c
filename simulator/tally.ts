/** What a run is measured by, as it goes. */
import type { Book } from '#core/book.ts'
import { parseLeaseId } from '#core/lease.ts'
import type { Lease } from '#core/protocol/lease.ts'
import type { Task } from '#core/task.ts'
import { EPOCH, FAULTS, type Fault } from './plan.ts'

/** Counts of one minute of virtual time. */
type Minute = { asked: number; succeeded: number; ended: number; open: number; waits: number[] }

export type Tally = {
  asked: number
  accepted: number
  /** By the number of the task, ms from its submission until a provider first began; NaN until then. */
  waits: Float64Array
  /** By the number of the task, ms from its submission until it succeeded; NaN until then. */
  finishes: Float64Array
  minutes: Minute[]
  faults: Record<Fault, number>
  outages: number
  open: number
}

export const createTally = (tasks: number): Tally => ({
  asked: 0,
  accepted: 0,
  waits: new Float64Array(tasks + 1).fill(Number.NaN),
  finishes: new Float64Array(tasks + 1).fill(Number.NaN),
  minutes: [],
  faults: Object.fromEntries(FAULTS.map((fault) => [fault, 0])) as Record<Fault, number>,
  outages: 0,
  open: 0,
})

function minuteOf({ minutes, open }: Tally, at: number): Minute {
  const n = Math.max(0, Math.floor((at - EPOCH) / 60_000))
  while (minutes.length <= n) minutes.push({ asked: 0, succeeded: 0, ended: 0, open, waits: [] })
  return minutes[n]!
}

export function tallySubmitted(tally: Tally, at: number, asked: number, accepted: number): void {
  tally.asked += asked
  tally.accepted += accepted
  tally.open += accepted
  const minute = minuteOf(tally, at)
  minute.asked += asked
  minute.open = tally.open
}

/** A provider began to work; the first one counts. */
export function tallyBegun(tally: Tally, book: Book, { id }: Lease, at: number): void {
  const task = book.tasks.get(parseLeaseId(id)!.task)?.task
  if (!task || !Number.isNaN(tally.waits[task.spec.seq]!)) return
  const wait = Math.max(0, at - task.spec.createdAt)
  tally.waits[task.spec.seq] = wait
  minuteOf(tally, at).waits.push(wait)
}

export function tallyEnded(tally: Tally, { spec, state }: Task): void {
  if (state.is !== 'succeeded' && state.is !== 'failed' && state.is !== 'cancelled' && state.is !== 'expired') return
  tally.open--
  const minute = minuteOf(tally, state.at)
  minute.ended++
  minute.open = tally.open
  if (state.is !== 'succeeded') return
  minute.succeeded++
  tally.finishes[spec.seq] = state.at - spec.createdAt
}

/** @param values are left as they are; those that are not numbers do not count. @returns null when there are none */
export function quantiles(values: Iterable<number>, shares: number[]): (number | null)[] {
  const known = Float64Array.from(values)
    .filter((value) => !Number.isNaN(value))
    .sort()
  return shares.map((share) => (known.length === 0 ? null : known[Math.ceil(share * known.length) - 1]!))
}
