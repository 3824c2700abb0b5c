/**
 * A provider over time: what came of its attempts in each closed hour of the public log, and how its reputation stood after it; and
 * of its market's looks, at how many it was there.
 */
import * as z from 'zod'
import { formatAmount, parseAmount } from './money.ts'
import { type Address, Amount, Count, Interval } from './protocol/values.ts'
import { Hour, hourName, type TaskRecord } from './public-log.ts'
import { added, interval, NEWCOMER, outcomesOf, WRONG } from './reputation.ts'

/** Of one provider and one closed hour; only of hours in which anything came of its work. */
export type ProviderTally = {
  provider: Address
  succeeded: number
  failed: number
  /** Results that others refuted. */
  wrong: number
  /** Results that were held against those of others; so many of them, less those that are wrong, agreed. */
  checked: number
  /** Tokens captured for its work, as a decimal string. */
  paid: string
}

const Day = z.string().regex(/^\d{4}-\d\d-\d\d$/)

export const ProviderHistory = z
  .object({
    until: Hour.nullable().describe('The last closed hour, which is counted too; null before there is one.'),
    hours: z
      .array(
        z.object({
          hour: Hour,
          succeeded: Count,
          failed: Count,
          wrong: Count.describe('Results that others refuted, or that were not what an operator knew to be right.'),
          checked: Count.describe('Results that were held against those of others; those that are not wrong agreed.'),
          paid: Amount.describe('Tokens captured for its work, the fee that the network keeps of them included.'),
          reputation: Interval.describe('After it, over all its classes.'),
        }),
      )
      .describe('Those in which anything came of its work, the earliest first; of many the last 1,000.'),
    days: z
      .array(
        z.object({
          day: Day,
          looks: Count.describe('Of its market, who was there: every ten minutes.'),
          active: Count.describe('Of these, those in which this provider was.'),
        }),
      )
      .describe('The last 30 days (UTC) on which its market looked, the earliest first, since it registered.'),
  })
  .meta({ id: 'ProviderHistory' })
export type ProviderHistory = z.output<typeof ProviderHistory>

const MOST_HOURS = 1_000

/** What the tasks that ended in an hour say of who attempted them. */
export function providerTallies(records: Iterable<TaskRecord>, into = new Map<Address, ProviderTally>()) {
  for (const { attempts } of records) {
    const isHeld = attempts.filter(({ state }) => state === 'succeeded' || state === 'refuted').length > 1
    for (const [provider, outcome] of outcomesOf(attempts)) {
      const tally = tallyIn(into, provider)
      tally[OUTCOME[outcome]]++
      if (isHeld && outcome !== 'failure') tally.checked++
    }
    for (const { provider, price } of attempts) {
      if (price === undefined) continue
      const tally = tallyIn(into, provider)
      tally.paid = formatAmount(parseAmount(tally.paid) + parseAmount(price))
    }
  }
  return into
}

function tallyIn(tallies: Map<Address, ProviderTally>, provider: Address): ProviderTally {
  const tally = tallies.get(provider) ?? { provider, succeeded: 0, failed: 0, wrong: 0, checked: 0, paid: '0' }
  tallies.set(provider, tally)
  return tally
}

const OUTCOME = { success: 'succeeded', failure: 'failed', wrong: 'wrong' } as const

/** Of a provider, with the hour since 1970. */
export type ProviderHour = Omit<ProviderTally, 'provider'> & { hour: number }

/** @param own of one provider, the earliest first */
export function historyOf(own: Iterable<ProviderHour>): ProviderHistory['hours'] {
  let reputation = NEWCOMER
  const hours: ProviderHistory['hours'] = []
  for (const { hour, ...counts } of own) {
    const failures = counts.failed + WRONG * counts.wrong
    reputation = added(reputation, { day: Math.floor(hour / 24), successes: counts.succeeded, failures })
    hours.push({ hour: hourName(hour), ...counts, reputation: interval(reputation) })
  }
  return hours.slice(-MOST_HOURS)
}
