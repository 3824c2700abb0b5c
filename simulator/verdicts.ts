/** What came of those who cheated in a trial (simulator/cheaters.ts): how many were caught, and what it brought them. */
import { leaseId } from '#core/lease.ts'
import { ONE_TOKEN, splitFee } from '#core/money.ts'
import type { Attempt } from '#core/task.ts'
import { type Court, hold, type Trial } from './cheaters.ts'

/** What a provider stakes at least, and loses of that by a wrong result; as contracts/src/Parameters.sol begins with. */
export const STAKE = 1000n * ONE_TOKEN
export const SLASH_BASIS_POINTS = 2000n

export type TrialScore = Trial & {
  tasks: number
  /**
   * Wrong results that came first, where there are canaries those of them; the shares of them that were caught, and would be by what
   * the quotes said: null when there were none.
   */
  wrong: number
  caught: number | null
  quoted: number | null
  /** Of all tasks, that ended with a wrong result. */
  deceived: number
  /** Mean of what a wrong result brought its provider: what it was paid, less what it lost of its stake; tokens. */
  profit: number | null
  /** What a cheating provider earned, to what an honest one did; stakes left aside. */
  income: number
  /** Results a task, and its mean price to that without an assurance. */
  results: number
  price: number
  /** Of those who served another model, which were caught within their first hundred wrong results; null for other cheaters. */
  within100: number | null
  /** Honest providers whose results were refuted by colluders. */
  framed: number
}

export const scoreOf = (trial: Trial, seed: number, tasks: number): TrialScore => judged(hold(trial, seed, tasks))

function judged(court: Court): TrialScore {
  const { cheater, share, level, ended, cases, lies } = court
  const lied = (id: string, { number }: Attempt) => lies.has(leaseId(id, number))
  let [wrong, caught, quoted, deceived, results, price, framed, brought] = [0, 0, 0, 0, 0, 0, 0, 0]
  for (const { spec, attempts, state } of ended) {
    const taken = attempts.filter(({ state }) => state.is === 'succeeded')
    const one = cases.get(spec.id)!
    // Of the operator's own tasks alone it is known that they were.
    if (one.lied && (one.canary || level !== 'canaries')) {
      wrong++
      quoted += one.quoted
      if (!taken.some((attempt) => lied(spec.id, attempt))) caught++
    }
    for (const attempt of attempts) {
      if (attempt.state.is === 'refuted' && !lied(spec.id, attempt)) framed++
      if (lied(spec.id, attempt)) brought += broughtBy(attempt)
    }
    if (!one.canary && taken[0] && lied(spec.id, taken[0])) deceived++
    results += attempts.length
    price += state.is === 'succeeded' ? tokens(state.price) : 0
  }
  const tasks = ended.filter(({ spec }) => !cases.get(spec.id)!.canary).length
  return {
    cheater,
    share,
    level,
    tasks,
    wrong,
    caught: mean(caught, wrong),
    quoted: mean(quoted, wrong),
    deceived: deceived / tasks,
    profit: mean(brought, lies.size),
    income: incomeOf(court),
    results: results / tasks,
    price: price / tasks,
    within100: cheater === 'swapping' ? caughtWithin100(court) : null,
    framed,
  }
}

/** What a wrong result brings: its price less the fee, nothing when it is not needed, a part of the stake when it is refuted. */
function broughtBy({ ask, units, state }: Attempt): number {
  if (state.is === 'refuted') return -tokens((STAKE * SLASH_BASIS_POINTS) / 10_000n)
  return tokens(splitFee(ask * BigInt(units)).earned)
}

/** Only of those who were caught or came so far. */
function caughtWithin100({ ended, lies }: Court): number | null {
  const stood = new Map<string, boolean[]>()
  for (const { spec, attempts } of ended) {
    for (const { number, provider, state } of attempts) {
      if (!lies.has(leaseId(spec.id, number))) continue
      const known = stood.get(provider) ?? []
      stood.set(provider, known)
      if (known.length < 100) known.push(state.is === 'succeeded')
    }
  }
  const known = [...stood.values()].filter((all) => all.length === 100 || all.includes(false))
  return mean(known.filter((all) => all.includes(false)).length, known.length)
}

function incomeOf({ players, liars }: Court): number {
  let [cheating, honest, many] = [0, 0, 0]
  for (const { provider, cheats } of players.values()) {
    if (cheats) cheating += tokens(provider.earned)
    else {
      honest += tokens(provider.earned)
      many++
    }
  }
  return cheating / liars / (honest / many)
}

const tokens = (amount: bigint): number => Number(amount) / Number(ONE_TOKEN)
const mean = (sum: number, many: number): number | null => (many === 0 ? null : sum / many)

/** How far what was caught may be from what was quoted. */
const NEAR = 0.02

/** Whether as many were caught as the quotes said. */
export const withinQuote = ({ caught, quoted }: TrialScore): boolean =>
  caught === null || quoted === null || Math.abs(caught - quoted) <= NEAR
