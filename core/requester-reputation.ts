/**
 * A requester's reputation: the posterior of the chance that it lets be done what somebody has begun for it, by the same formulas as a
 * provider's (core/reputation.ts). What it asked for is in no public record by its name: each closed hour of the public log ends
 * with a line for each requester, under a name that only it and the edge can tell to be its own, and these lines give its reputation.
 *
 * | outcome | of its tasks those that                                                         |
 * |---------|---------------------------------------------------------------------------------|
 * | success | have succeeded                                                                  |
 * | failure | it cancelled after a provider was given them: work for which nobody may be paid |
 * | none    | ended otherwise, for that is not its doing                                      |
 */
import * as z from 'zod'
import { type Address, Interval } from './protocol/values.ts'
import { Hour, hourNumber, type TaskRecord } from './public-log.ts'
import { added, interval, NEWCOMER, type Reputation, score } from './reputation.ts'

/** 128 bits in hex that follow from an address by the edge's secret. */
const RequesterName = z.string().regex(/^[0-9a-f]{32}$/)

/** A line at the end of a closed hour: what came of the tasks of one requester that ended in it. */
export const RequesterTally = z
  .strictObject({ requester: RequesterName, succeeded: z.int().min(0), cancelled: z.int().min(0) })
  .meta({ id: 'RequesterTally' })
export type RequesterTally = z.output<typeof RequesterTally>

export const RequesterReputation = z
  .object({
    requester: RequesterName,
    score: z.number().describe('The lower bound, rounded down to a hundredth.'),
    interval: Interval,
    successes: z.number().describe('Weighted: tasks that have succeeded.'),
    failures: z.number().describe('Weighted: tasks cancelled after a provider was given them.'),
    day: z.int().describe('Of which the weights are, counted from 1970.'),
    outcomes: z.int().describe('Ever counted.'),
  })
  .meta({ id: 'RequesterReputation' })
export type RequesterReputation = z.output<typeof RequesterReputation>

/** `until`: the last closed hour, which is counted too; null before there is one. */
export const RequesterReputations = z
  .object({ until: Hour.nullable(), reputations: z.array(RequesterReputation) })
  .meta({ id: 'RequesterReputations' })
export type RequesterReputations = z.output<typeof RequesterReputations>

type Counts = Pick<RequesterTally, 'succeeded' | 'cancelled'>

/** What the tasks that ended in an hour say of those who asked for them, who are left out when that is nothing. */
export function tallies(records: Iterable<TaskRecord & { requester: Address }>, into = new Map<Address, Counts>()) {
  for (const { requester, status, attempts } of records) {
    const succeeded = status === 'succeeded' ? 1 : 0
    const cancelled = status === 'cancelled' && attempts.length > 0 ? 1 : 0
    if (succeeded + cancelled === 0) continue
    const known = into.get(requester) ?? { succeeded: 0, cancelled: 0 }
    into.set(requester, { succeeded: known.succeeded + succeeded, cancelled: known.cancelled + cancelled })
  }
  return into
}

/** A tally with its hour, since 1970. */
export type HourTally = RequesterTally & { hour: number }

/**
 * Reputations of all these tallies, by name. Those of a day are summed before they are weighed, so that their order does not matter.
 */
export function reputationsOfTallies(all: Iterable<HourTally>): RequesterReputation[] {
  const days = new Map<string, Map<number, Counts>>()
  for (const { requester, hour, succeeded, cancelled } of all) {
    const own = days.get(requester) ?? new Map<number, Counts>()
    const day = Math.floor(hour / 24)
    const known = own.get(day) ?? { succeeded: 0, cancelled: 0 }
    own.set(day, { succeeded: known.succeeded + succeeded, cancelled: known.cancelled + cancelled })
    days.set(requester, own)
  }
  return [...days]
    .map(([requester, own]) => viewOf(requester, ofDays(own)))
    .sort((x, y) => (x.requester < y.requester ? -1 : 1))
}

function ofDays(days: Map<number, Counts>): Reputation {
  return [...days]
    .sort(([x], [y]) => x - y)
    .reduce(
      (known, [day, { succeeded, cancelled }]) => added(known, { day, successes: succeeded, failures: cancelled }),
      NEWCOMER,
    )
}

/** Of nobody's tasks, when it has no tallies. */
export function viewOf(requester: string, reputation: Reputation = NEWCOMER): RequesterReputation {
  const { successes, failures, day, outcomes } = reputation
  return { requester, score: score(reputation), interval: interval(reputation), successes, failures, day, outcomes }
}

/** A line of an export as a tally of its hour, or null for any other line. */
export function tallyOf(hour: string, line: string): HourTally | null {
  const tally = RequesterTally.safeParse(JSON.parse(line)).data
  return tally ? { ...tally, hour: hourNumber(hour) } : null
}
