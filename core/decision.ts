/**
 * Why a task went to whom it went. A market notes of each decision what it was made by: the winner and the few other offers of its
 * class with most merit, as they stood then; of a hundred decisions a second at most, so that a busy market hardly pays for it. It is
 * written down with the attempt, and goes with its task into the archive and the public log.
 *
 * | rule  | the task goes to                                                     |
 * |-------|----------------------------------------------------------------------|
 * | merit | the best offer that may run it at once                               |
 * | trial | a newcomer, were it as good as the best reputation; see `hope`       |
 * | turn  | the provider that has room, the task being the first that it may run |
 * | lot   | whoever was drawn to check it; see core/verifier.ts                  |
 * | lane  | the provider that its requester names, or signs vouchers for         |
 * | late  | the best other that is free, beside one that is late; see core/speculation.ts |
 */
import type { Book } from './book.ts'
import { PASSED, roughSpeed } from './decision-words.ts'
import { WANTS } from './explain.ts'
import { type Ask, type Exclusion, type Match, merit, offerExclusion, type Supply, type Want } from './matching.ts'
import { formatAmount } from './money.ts'
import { inOrder } from './ordered-index.ts'
import { Advantage, type DecisionView, type MatchView, type PublicReason, type Rule } from './protocol/decision.ts'
import type { Preference } from './protocol/quote.ts'
import type { Address } from './protocol/values.ts'
import { isOver, type Task } from './task.ts'

/** An offer as it stood when a task was given out, and why it was no candidate; null when it was one. */
type Contender = { address: Address; offer: Ask; excluded: Exclusion | null }

/** `others`: those with most merit, best first. */
type Decision = { want: Want; at: number; attempt: number; rule: Rule; winner: Contender; others: Contender[] }
/** The last: a ring, of which the oldest is overwritten. `inSpell` were noted since `spellFrom`. */
export type Decisions = { kept: DecisionView[]; noted: number; spellFrom: number; inSpell: number }

/** Decisions that are kept, and of those made within so long. */
/** Decisions that are shown. */
export const DECISIONS_SHOWN = 50
const SPELL_MS = 100
const MOST_IN_SPELL = 10
/** Other offers that are kept, and that are looked at to find them. */
const OTHERS = 4
const LOOKS = 12

export const createDecisions = (): Decisions => ({ kept: [], noted: 0, spellFrom: 0, inSpell: 0 })

/** To be called before the decision takes effect. @returns null of a busy market, which notes no more just now */
export function noteDecision(book: Book, match: Match, rule: Rule, now: number): DecisionView | null {
  const { decisions } = book
  if (now - decisions.spellFrom >= SPELL_MS) Object.assign(decisions, { spellFrom: now, inSpell: 0 })
  if (decisions.inSpell === MOST_IN_SPELL) return null
  decisions.inSpell++
  const { want, supply, offer } = match
  const winner = contender(supply, offer, null)
  const attempt = book.tasks.get(want.id)!.task.attempts.length + 1
  const view = decisionView({ want, at: now, attempt, rule, winner, others: othersOf(book, match, now) })
  decisions.kept[decisions.noted++ % DECISIONS_SHOWN] = view
  return view
}

/** What was noted of a task. Of one that is being verified nothing is told before it is over: who checks it must not know whom. */
export const decisionsOf = (task: Task): DecisionView[] =>
  task.spec.assurance && !isOver(task) ? [] : task.attempts.flatMap(({ decision }) => decision ?? [])

function othersOf({ matching, providers }: Book, { want, supply: winner }: Match, now: number): Contender[] {
  const tree = matching.listings.get(want.kind)?.get(want.model)?.[want.preference]
  const others: Contender[] = []
  if (!tree) return others
  const isThere = ({ address, room }: Supply) => room > 0 || providers.get(address)!.leases.size > 0
  let looks = 0
  for (const { supply, offer } of inOrder(matching.offers, tree)) {
    if (looks++ === LOOKS || others.length === OTHERS) break
    if (supply === winner || !isThere(supply)) continue
    others.push(contender(supply, offer, offerExclusion(want, supply, offer, now)))
  }
  return others
}

const contender = ({ address }: Supply, offer: Ask, excluded: Exclusion | null): Contender => ({
  address,
  offer,
  excluded,
})

/** Latest first; of a task that is being verified, once it is over. */
export function latestDecisions({ decisions: { kept, noted }, tasks }: Book): DecisionView[] {
  const latestFirst = Array.from(kept, (_, n) => kept[(noted - 1 - n) % DECISIONS_SHOWN]!)
  return latestFirst.filter(({ task }) => !tasks.get(task)?.task.spec.assurance)
}

/** The same in short. */
export const latestMatches = (book: Book, most: number): MatchView[] =>
  latestDecisions(book)
    .slice(0, most)
    .map(({ others: _, ...match }) => match)

const decisionView = (decision: Decision): DecisionView => ({
  ...matchView(decision),
  others: decision.others.map((other) => ({
    ...contenderView(decision.want.preference, other),
    ...(other.excluded !== null && { excluded: publicReason(other.excluded) }),
  })),
})

function matchView(decision: Decision): MatchView {
  const { want, at, attempt, rule, winner } = decision
  const { id: task, kind, model, preference } = want
  const next = nextOf(decision)
  const advantages = next ? advantagesOf(preference, winner, next) : []
  const explanation = explain(decision, next, advantages)
  const view = contenderView(preference, winner)
  return { task, attempt, at, kind, model, preference, rule, ...view, advantages, explanation }
}

const contenderView = (preference: Preference, { address, offer }: Contender) => ({
  provider: address,
  ask: formatAmount(offer.ask),
  speed: offer.speed,
  reputation: offer.reputation,
  warm: offer.warm,
  merit: Math.round(merit(preference, offer) * 1000) / 1000,
})

/** The best other that could have taken the task. */
const nextOf = ({ others }: Decision): Contender | undefined => others.find(({ excluded }) => excluded === null)

/** In what the one is ahead of the other, what weighs most first. */
function advantagesOf(preference: Preference, { offer: one }: Contender, { offer: other }: Contender): Advantage[] {
  const base = merit(preference, other)
  const gaps: Record<Advantage, number> = {
    price: merit(preference, { ...other, ask: one.ask }) - base,
    speed: merit(preference, { ...other, speed: one.speed }) - base,
    warm: merit(preference, { ...other, warm: one.warm }) - base,
    reputation: merit(preference, { ...other, reputation: one.reputation }) - base,
  }
  return Advantage.options.filter((each) => gaps[each] > 0).sort((x, y) => gaps[y] - gaps[x])
}

/* In words */

function explain(decision: Decision, next: Contender | undefined, advantages: Advantage[]): string {
  switch (decision.rule) {
    case 'trial':
      return 'A newcomer is tried: with the best reputation there is it would be the best.'
    case 'turn':
      return 'It waited, and this provider had room for it first.'
    case 'lot':
      return 'Drawn among all that may check the result.'
    case 'lane':
      return 'Its requester has chosen this provider.'
    case 'late':
      return `Beside an attempt that is late: ${bestBy(decision, next, advantages)}`
    case 'merit':
      return `${bestBy(decision, next, advantages)}${passedOver(decision)}`
  }
}

function bestBy({ winner, want }: Decision, next: Contender | undefined, advantages: Advantage[]): string {
  if (!next) return 'No other could take it at once.'
  const wants = WANTS[want.preference]
  if (advantages.length === 0) return `Best for who wants ${wants}: an equal offer was registered later.`
  return `Best for who wants ${wants}: ${advantages.map((each) => SAID[each](winner, next)).join(', ')}.`
}

const SAID: Record<Advantage, (winner: Contender, next: Contender) => string> = {
  price: (winner, next) => `price ${formatAmount(winner.offer.ask)}, the next asks ${formatAmount(next.offer.ask)}`,
  speed: (winner, next) => `speed ${roughSpeed(winner.offer.speed)}, the next has ${roughSpeed(next.offer.speed)}`,
  warm: () => 'it has the model loaded, and the next has not',
  reputation: (winner, next) => `reputation ${winner.offer.reputation}, the next has ${next.offer.reputation}`,
}

/** ' Of more merit: 2 had no free slot.' */
function passedOver({ want, winner, others }: Decision): string {
  const own = merit(want.preference, winner.offer)
  const counts = new Map<PublicReason, number>()
  for (const { offer, excluded } of others) {
    if (excluded === null || merit(want.preference, offer) < own) continue
    const reason = publicReason(excluded)
    counts.set(reason, (counts.get(reason) ?? 0) + 1)
  }
  if (counts.size === 0) return ''
  return ` Of more merit: ${[...counts].map(([reason, count]) => `${count} ${PASSED[reason]}`).join(', ')}.`
}

function publicReason(reason: Exclusion): PublicReason {
  return reason === 'slot' || reason === 'avoided' || reason === 'drawn' ? reason : 'terms'
}
