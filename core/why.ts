/**
 * Why a provider gets the work it gets: its rank among the offers of each of its classes, what waiting and recent tasks it may
 * not run and for what reason, and against what it loses. Of requesters it tells nothing but counts; other providers' offers
 * are public.
 */
import type { Book, Provider } from './book.ts'
import { type Counts, count, inWords, total, WANTS } from './explain.ts'
import { type Grant, latestGrants } from './grants.ts'
import { isActive } from './health.ts'
import { type Ask, exclusion, type Merits, merit, meritsOf, PREFERENCES, type Supply, type Want } from './matching.ts'
import { formatAmount } from './money.ts'
import { inOrder } from './ordered-index.ts'
import type { Why } from './protocol/provider.ts'
import type { Preference } from './protocol/quote.ts'
import { waitingIn } from './unread.ts'

/** Waiting tasks of a class that are looked at. */
const MOST_WAITING = 1000

type Offered = { supply: Supply; offer: Ask }
type OfferWhy = Why['offers'][number]
type Rank = OfferWhy['ranks'][number]

/** Changes nothing. Takes a look at the offers of the provider's classes, at the first tasks that wait and at the last given out. */
export function why(book: Book, provider: Provider, now: number): Why {
  const { supply, leases } = provider
  const active = isActive(provider, now)
  return {
    active,
    free: supply.room,
    leases: leases.size,
    advice: adviceOf(active, supply.room),
    offers: supply.offers.map((offer) => {
      const own = { supply, offer }
      const rivals = rivalsOf(book, own, now)
      return {
        kind: offer.kind,
        model: offer.model,
        ask: formatAmount(offer.ask),
        reputation: offer.reputation,
        ranks: PREFERENCES.map((preference) => rankOf(preference, own, rivals)),
        waiting: waitingOf(book, own, active, now),
        recent: recentOf(book, own),
      }
    }),
  }
}

function adviceOf(active: boolean, free: number): string[] {
  if (!active)
    return ['You are away: nothing was heard of you for a minute. Start the agent, and see that it reaches the edge.']
  if (free < 1) return ['You have no free slot: all are in use, or your agent has not asked for work just now.']
  return []
}

/** The offers of the same class by others that are there. */
function rivalsOf(book: Book, { supply, offer }: Offered, now: number): Offered[] {
  const trees = book.matching.listings.get(offer.kind)?.get(offer.model)
  const places = trees ? [...inOrder(book.matching.offers, trees.balanced)] : []
  return places.filter(
    (place) => place.supply.address !== supply.address && isActive(book.providers.get(place.supply.address)!, now),
  )
}

function rankOf(preference: Preference, own: Offered, rivals: Offered[]): Rank {
  const mine = merit(preference, own.offer)
  let rank = 1
  let leader = own
  let most = mine
  for (const rival of rivals) {
    const theirs = merit(preference, rival.offer)
    if (theirs > mine || (theirs === mine && rival.supply.seq < own.supply.seq)) rank++
    if (theirs > most || (theirs === most && rival.supply.seq < leader.supply.seq)) [leader, most] = [rival, theirs]
  }
  const of = rivals.length + 1
  const place = `Rank ${rank} of ${of} for who wants ${WANTS[preference]}`
  const explanation = leader === own ? `${place}.` : `${place}: ${comparison(preference, own, leader)}.`
  return { preference, rank, of, leader: rivalView(leader), explanation }
}

function isAhead(preference: Preference, x: Offered, y: Offered): boolean {
  const by = merit(preference, x.offer) - merit(preference, y.offer)
  return by > 0 || (by === 0 && x.supply.seq < y.supply.seq)
}

/** By what the winner is ahead, what weighs most first: 'your price 12 is above the winning 9'. */
function comparison(preference: Preference, own: Offered, winner: Offered): string {
  const words: Record<keyof Merits, string> = {
    price: `your price ${formatAmount(own.offer.ask)} is above the winning ${formatAmount(winner.offer.ask)}`,
    time:
      winner.offer.warm && !own.offer.warm
        ? 'the winner has the model loaded, and you must load it first'
        : `your speed ${own.offer.speed} is below the winning ${winner.offer.speed}`,
    reputation: `your reputation ${own.offer.reputation} is below the winning ${winner.offer.reputation}`,
  }
  const factors = behind(preference, own, winner)
  return factors.length === 0
    ? 'an equal offer was registered before'
    : factors.map((factor) => words[factor]).join(', ')
}

function behind(preference: Preference, own: Offered, winner: Offered): (keyof Merits)[] {
  const mine = meritsOf(preference, own.offer)
  const theirs = meritsOf(preference, winner.offer)
  const gap = (factor: keyof Merits) => theirs[factor] - mine[factor]
  return (['price', 'time', 'reputation'] as const).filter((factor) => gap(factor) > 0).sort((x, y) => gap(y) - gap(x))
}

function waitingOf(book: Book, { supply, offer }: Offered, active: boolean, now: number): OfferWhy['waiting'] {
  const excluded: Counts = {}
  let tasks = 0
  for (const want of queueOf(book, offer)) {
    if (tasks++ === MOST_WAITING) break
    const reason = exclusion(want, { ...supply, offers: [offer] }, now)
    if (reason !== null) count(excluded, reason === 'slot' && !active ? 'away' : reason)
  }
  tasks = Math.min(tasks, MOST_WAITING)
  return {
    tasks,
    excluded,
    explanation: sentence(`${some(tasks)} of this class ${tasks === 1 ? 'waits' : 'wait'}`, excluded),
  }
}

function* queueOf({ matching }: Book, { kind, model }: Ask): Generator<Want> {
  for (const tree of matching.queues.get(kind)?.get(model)?.values() ?? []) yield* waitingIn(matching, tree)
}

/** By the provider's present terms, so that it sees what a change of them would do. */
function recentOf(book: Book, own: Offered): OfferWhy['recent'] {
  const excluded: Counts = {}
  const outranked = { price: 0, time: 0, reputation: 0 }
  let [tasks, won, missed] = [0, 0, 0]
  let lost: Grant | null = null
  for (const grant of latestGrants(book.grants)) {
    const { want, rule, at } = grant
    if (want.kind !== own.offer.kind || want.model !== own.offer.model) continue
    // No terms would have won what was another's trial.
    if (rule === 'trial' && grant.supply.address !== own.supply.address) continue
    tasks++
    if (grant.supply.address === own.supply.address) {
      won++
      continue
    }
    lost ??= grant
    const reason = exclusion(want, { ...own.supply, room: 1, offers: [own.offer] }, at)
    const [factor] = behind(want.preference, own, grant)
    if (reason !== null) count(excluded, reason)
    else if (isAhead(want.preference, own, grant)) missed++
    else outranked[factor ?? 'price']++
  }
  return {
    tasks,
    won,
    excluded,
    outranked,
    missed,
    winner: lost && rivalView(lost),
    explanation: recentWords(own, { tasks, won, excluded, missed, lost }),
  }
}

function recentWords(
  own: Offered,
  {
    tasks,
    won,
    excluded,
    missed,
    lost,
  }: { tasks: number; won: number; excluded: Counts; missed: number; lost: Grant | null },
): string {
  if (tasks === 0) return 'No task of this class was given out lately.'
  const outranked = tasks - won - missed - total(excluded)
  const parts = [
    `${won} you won`,
    ...(outranked > 0 ? [`${outranked} went to better offers`] : []),
    ...(missed > 0 ? [`${missed} you missed by being away or full`] : []),
    ...(total(excluded) > 0 ? [inWords(excluded, 'tasks')] : []),
  ]
  const against = lost && behind(lost.want.preference, own, lost).length > 0
  const last = against ? ` Against the latest winner, ${comparison(lost.want.preference, own, lost)}.` : ''
  return `${some(tasks)} of this class given out lately: ${parts.join(', ')}.${last}`
}

const some = (tasks: number): string => `${tasks} ${tasks === 1 ? 'task' : 'tasks'}`

const sentence = (head: string, counts: Counts): string =>
  total(counts) === 0 ? `${head}.` : `${head}: ${inWords(counts, 'tasks')}.`

const rivalView = ({ supply, offer }: Offered) => ({
  provider: supply.address,
  ask: formatAmount(offer.ask),
  speed: offer.speed,
  reputation: offer.reputation,
})
