/**
 * A reputation: the posterior of the chance that a provider finishes what it takes of one class, Beta(a, b) with a uniform prior,
 * where each outcome's weight halves every 30 days. Shown as mean and 90 % interval; ranked and filtered by the lower bound.
 *
 * | figure   | formula                                                                              |
 * |----------|--------------------------------------------------------------------------------------|
 * | a, b     | 1 + weighted successes, 1 + weighted failures, of which a wrong result counts as ten |
 * | mean     | a / (a + b)                                                                          |
 * | low, high| mean -+ 1.645 x sqrt(a b / ((a + b)^2 (a + b + 1))), within 0 and 1                  |
 * | score    | low, rounded down to a hundredth                                                     |
 *
 * Weights change by whole days (UTC), by multiplication with one constant, and nothing here but + - x / and the square root
 * touches them: IEEE 754 defines those to the bit, so whoever counts the public log again gets the very same numbers, in any
 * language, and in whatever order the outcomes of a day are counted.
 */
import type { Address, Interval } from './protocol/values.ts'
import type { Kind } from './protocol/work.ts'
import type { TaskRecord } from './public-log.ts'

/** `wrong`: its result was refuted by those of others. */
export type Outcome = 'success' | 'failure' | 'wrong'

export type Reputation = {
  successes: number
  failures: number
  /** The day the weights are as of, counted from 1970. */
  day: number
  /** Outcomes ever counted. */
  outcomes: number
  /** Successes since the last outcome that was none. */
  streak: number
}

type Weights = Pick<Reputation, 'successes' | 'failures'>

const DAY_MS = 86_400_000
/** 2 ** (-1 / 30), written out so that everybody multiplies by the same double. */
const KEPT_A_DAY = 0.9771599684342459
/** After so many days nothing is left that a double could tell from nothing. */
const MOST_DAYS = 30_000
/** Standard normal quantile of 95 %: the interval between the two bounds holds 90 %. */
const Z = 1.6448536269514722
/** How many failures a wrong result counts as: one that fails says so, one that is wrong was meant to be believed. */
export const WRONG = 10

/** Of whom nothing is known. */
export const NEWCOMER: Reputation = { successes: 0, failures: 0, day: 0, outcomes: 0, streak: 0 }

const dayOf = (at: number): number => Math.floor(at / DAY_MS)

/** Adds one outcome. Time never runs backwards: an earlier `at` counts as the latest day seen. */
export function observe(reputation: Reputation, outcome: Outcome, at: number): Reputation {
  const known = aged(reputation, dayOf(at))
  const outcomes = known.outcomes + 1
  if (outcome === 'success') {
    return { ...known, outcomes, successes: known.successes + 1, streak: known.streak + 1 }
  }
  return { ...known, outcomes, failures: known.failures + (outcome === 'wrong' ? WRONG : 1), streak: 0 }
}

/** Adds outcomes of a day together; their order is not known, so there is no streak. */
export function added(reputation: Reputation, { day, successes, failures }: Weights & { day: number }): Reputation {
  const known = aged(reputation, day)
  return {
    ...known,
    successes: known.successes + successes,
    failures: known.failures + failures,
    outcomes: known.outcomes + successes + failures,
  }
}

function aged(reputation: Reputation, day: number): Reputation {
  if (day <= reputation.day) return reputation
  if (reputation.outcomes === 0) return { ...reputation, day }
  let { successes, failures } = reputation
  for (let days = Math.min(day - reputation.day, MOST_DAYS); days > 0; days--) {
    successes *= KEPT_A_DAY
    failures *= KEPT_A_DAY
  }
  return { ...reputation, successes, failures, day }
}

/** All that is known of a provider: its weighted outcomes in every class, as of the latest day of any. */
export function pooled(reputations: Iterable<Reputation>): Weights {
  const all = [...reputations]
  const day = Math.max(0, ...all.map((reputation) => reputation.day))
  const total: Weights = { successes: 0, failures: 0 }
  for (const reputation of all) {
    const { successes, failures } = aged(reputation, day)
    total.successes += successes
    total.failures += failures
  }
  return total
}

/** Mean and normal approximation of the 90 % credible interval, clamped to 0..1. */
export function interval({ successes, failures }: Weights): Interval {
  const a = successes + 1
  const b = failures + 1
  const n = a + b
  const mean = a / n
  const half = Z * Math.sqrt((a * b) / (n * n * (n + 1)))
  return { low: Math.max(0, mean - half), mean, high: Math.min(1, mean + half) }
}

/** Of the reputations that there are none is better than this: so many successes in a row bring it there. */
const BEST = 0.99
const TO_BEST = 262

/**
 * What a newcomer is taken for when it is tried: as good as anybody while it has failed nothing, else the upper bound. Null once so
 * many outcomes are known that whoever failed none needs no trial any more.
 */
export function hope(reputation: Reputation): number | null {
  if (reputation.outcomes >= TO_BEST) return null
  return reputation.failures === 0 ? BEST : Math.min(BEST, Math.floor(interval(reputation).high * 100) / 100)
}

/** The lower bound in steps of a hundredth, so that matching's indexes move only when it matters. */
export function score(reputation: Reputation): number {
  return Math.floor(interval(reputation).low * 100) / 100
}

/**
 * What a task that has succeeded says of those who attempted it. A failure counts only once another provider has shown that the
 * task could be done: a poison task harms nobody. A wrong result counts whatever else its provider did.
 */
export function outcomesOf(attempts: readonly { provider: Address; state: string }[]): Map<Address, Outcome> {
  const outcomes = new Map<Address, Outcome>()
  if (!attempts.some(({ state }) => state === 'succeeded')) return outcomes
  for (const { provider, state } of attempts) {
    if (state === 'succeeded') outcomes.set(provider, 'success')
    else if (state === 'refuted') outcomes.set(provider, 'wrong')
    else if ((state === 'failed' || state === 'lost') && !outcomes.has(provider)) outcomes.set(provider, 'failure')
  }
  return outcomes
}

/** Reputations by provider, kind and model: `recount` makes of the public log what the market made of the same outcomes. */
export type Reputations = Map<string, Reputation>

export const reputationKey = (provider: Address, { kind, model }: { kind: Kind; model: string }): string =>
  `${provider} ${kind} ${model}`

/**
 * Counts one record of the public log.
 * @param until outcomes after which a reputation is left as it is, so that it can be compared with one that was told earlier
 */
export function recount(reputations: Reputations, record: TaskRecord, until?: ReadonlyMap<string, number>): void {
  for (const [provider, outcome] of outcomesOf(record.attempts)) {
    const key = reputationKey(provider, record)
    const known = reputations.get(key) ?? NEWCOMER
    if (until && known.outcomes >= (until.get(key) ?? 0)) continue
    reputations.set(key, observe(known, outcome, record.finishedAt))
  }
}
