/**
 * Who may run a task, who runs it best, and which task a provider takes first.
 * `exclusion` is the rule; the indexes here only find quickly what it allows, and a property test holds them to it.
 */
import type { Variant } from './capability.ts'
import {
  createIndex,
  type Entry,
  emptyTree,
  first,
  insert,
  type OrderedIndex,
  remove,
  setMask,
  type Tree,
} from './ordered-index.ts'
import type { Preference } from './protocol/quote.ts'
import { type Address, Region } from './protocol/values.ts'
import type { Kind } from './protocol/work.ts'
import { isUnread, type Unread, waitingIn } from './unread.ts'

/** Why a provider may not run a task. Tested in this order; a candidate is given the first that holds. */
export const EXCLUSIONS = [
  'self',
  'kind',
  'model',
  'digest',
  'quantization',
  'capability',
  'context',
  'region',
  'price',
  'reputation',
  'excluded',
  'avoided',
  'drawn',
  'slot',
] as const
export type Exclusion = (typeof EXCLUSIONS)[number]

/** What matching needs to know of an open task. */
export type Want = {
  id: string
  seq: number
  requester: Address
  kind: Kind
  model: string
  /** Null: any variant of the model. */
  variant: Variant | null
  /** The most it pays for a unit, base units. */
  bid: bigint
  preference: Preference
  minReputation: number
  minContext: number
  region: Region | null
  exclude: readonly Address[]
  /** The one provider that its lane pays, or that its requester names. */
  only?: Address | undefined
  /** Fair-queueing start tag; see `stamp`. */
  tag: number
  deadline: number
  /** Providers that failed it, kept away until `avoidUntil` so that a retry goes to another where there is one. */
  avoid: readonly Address[]
  avoidUntil: number
  /** Of an assured task, who was drawn to give the next result, and until when it is waited for; see core/verifier.ts. */
  drawn: { address: Address; until: number } | null
  /** Whether it stands in the queue. Matching's own. */
  queued: boolean
}

export type Ask = {
  kind: Kind
  model: string
  ask: bigint
  speed: number
  context: number
  digest: string | null
  /** Bits of a weight; 0 when it does not say. */
  bits: number
  capabilities: readonly string[]
  /** Its provider's score in this class, and while it is new there what a trial takes it for; changed only by `setReputation`. */
  reputation: number
  hope: number | null
  /** Its provider need not load the model first: it offers no other, or was given a task of it last. Changed only by `noteModel`. */
  warm: boolean
}

/** What matching needs to know of a provider. */
export type Supply = {
  seq: number
  address: Address
  region: Region | null
  offers: readonly Ask[]
  /** Leases it can be given now; 0 while nobody can reach it. Raised only by `setRoom`. */
  room: number
  /** Where its offers stand. Matching's own. */
  places: Place[]
  /** The class of the task it was given last, and how many of that it was given one after the other. */
  loaded: string | null
  streak: number
}

export type Match = { want: Want; supply: Supply; offer: Ask }

/** An offer in the tree of one preference. Hidden once a search met it without room, until there is room again. */
type Place = {
  supply: Supply
  offer: Ask
  preference: Preference
  /** Among the newcomers, by what they hope for. */
  hopeful: boolean
  tree: Tree
  entry: Entry
  hidden: boolean
}

/** By kind, then by model: looking up the two costs less than joining them into one name. */
type ByClass<T> = Map<Kind, Map<string, T>>
type Listing = Record<Preference, Tree>

export type Matching = {
  open: OrderedIndex<Want | Unread>
  offers: OrderedIndex<Place>
  /** By class, then by the region that its tasks name, so that nobody looks past tasks of other regions. */
  queues: ByClass<Map<Region | null, Tree>>
  /** Of these, those whose deadlines are at risk, by the earlier turn that they have for that; see core/urgency.ts. */
  urgents: ByClass<Map<Region | null, Tree>>
  urgent: Map<Want, Entry>
  listings: ByClass<Listing>
  /** Of those that are new in their class alone. */
  hopefuls: ByClass<Listing>
  queued: number
  /** What stands in queues for tasks that were not read. */
  unread: number
  /** Places that the search under way found without room. */
  full: Place[]
}

export function createMatching(): Matching {
  return {
    open: createIndex(),
    offers: createIndex(),
    queues: new Map(),
    urgents: new Map(),
    urgent: new Map(),
    listings: new Map(),
    hopefuls: new Map(),
    queued: 0,
    unread: 0,
    full: [],
  }
}

/** The resource class of a task or an offer: what must be equal before anything is compared. */
export const classOf = (of: { kind: Kind; model: string }): string => `${of.kind} ${of.model}`

export function parseClass(name: string): { kind: Kind; model: string } {
  const space = name.indexOf(' ')
  return { kind: name.slice(0, space) as Kind, model: name.slice(space + 1) }
}

function ofClass<T>(byClass: ByClass<T>, { kind, model }: { kind: Kind; model: string }, make: () => T): T {
  const models = byClass.get(kind) ?? new Map<string, T>()
  byClass.set(kind, models)
  const found = models.get(model) ?? make()
  models.set(model, found)
  return found
}

/** Why this provider may not run this task with this offer now, or null when it may. */
export function offerExclusion(want: Want, supply: Supply, offer: Ask, now: number): Exclusion | null {
  if (supply.address === want.requester) return 'self'
  if (offer.kind !== want.kind) return 'kind'
  if (offer.model !== want.model) return 'model'
  return termsExclusion(want, supply, offer, now)
}

/** The same for an offer of the task's own class. */
function termsExclusion(want: Want, supply: Supply, offer: Ask, now: number): Exclusion | null {
  const otherVariant = want.variant && variantExclusion(want.variant, offer)
  if (otherVariant) return otherVariant
  if (offer.context < want.minContext) return 'context'
  if (want.region !== null && supply.region !== want.region) return 'region'
  if (offer.ask > want.bid) return 'price'
  if (offer.reputation < want.minReputation) return 'reputation'
  if (want.exclude.includes(supply.address)) return 'excluded'
  if (want.only !== undefined && want.only !== supply.address) return 'excluded'
  if (now < want.avoidUntil && want.avoid.includes(supply.address)) return 'avoided'
  if (want.drawn !== null && want.drawn.address !== supply.address) return 'drawn'
  if (supply.room < 1) return 'slot'
  return null
}

export function variantExclusion({ digest, minBits, capabilities }: Variant, offer: Ask): Exclusion | null {
  if (digest !== null && offer.digest !== digest) return 'digest'
  if (offer.bits < minBits) return 'quantization'
  return capabilities.every((needed) => offer.capabilities.includes(needed)) ? null : 'capability'
}

/** True when an offer of the task's own class may run it now. */
const suits = (want: Want, supply: Supply, offer: Ask, now: number): boolean =>
  supply.address !== want.requester && termsExclusion(want, supply, offer, now) === null

/** Why this provider may not run this task now: the reason of its offer that comes closest; null when it may. */
export function exclusion(want: Want, supply: Supply, now: number): Exclusion | null {
  let closest: Exclusion = 'kind'
  for (const offer of supply.offers) {
    const reason = offerExclusion(want, supply, offer, now)
    if (reason === null) return null
    if (EXCLUSIONS.indexOf(reason) > EXCLUSIONS.indexOf(closest) || reason === 'self') closest = reason
  }
  return closest
}

/** How much a requester minds price, time and reputation, by preference. */
const WEIGHTS: Record<Preference, { price: number; time: number; reputation: number }> = {
  cheapest: { price: 1, time: 0.1, reputation: 0.2 },
  balanced: { price: 0.5, time: 0.5, reputation: 0.5 },
  fastest: { price: 0.1, time: 1, reputation: 0.2 },
}
export const PREFERENCES = Object.keys(WEIGHTS) as Preference[]

/** What a provider that must load the model first loses, whatever the preference: the time that this takes is paid by nobody. */
const COLD = 0.7
/** Tasks of the model that is loaded that a provider takes one after the other although the turn of another is before. */
const MOST_IN_A_ROW = 32

/** What each factor adds to the merit of an offer. */
export type Merits = { price: number; time: number; reputation: number }

export function meritsOf(preference: Preference, offer: Ask): Merits {
  const weight = WEIGHTS[preference]
  return {
    price: -weight.price * Math.log(Number(offer.ask) + 1),
    time: weight.time * Math.log(offer.speed) - (offer.warm ? 0 : COLD),
    reputation: weight.reputation * Math.log(0.05 + offer.reputation),
  }
}

/**
 * The merit of an offer: weighted logarithms, so that it is the ratio of two prices, speeds or reputations that counts,
 * whatever their units, and the order of two offers never depends on who else is there.
 */
export function merit(preference: Preference, offer: Ask): number {
  const { price, time, reputation } = meritsOf(preference, offer)
  return time + price + reputation
}

/* Open tasks */

export function addWant(matching: Matching, want: Want): void {
  enqueue(matching, matching.queues, want, wantEntry(want), want)
  want.queued = true
  matching.queued++
}

/** Gives a task that waits an earlier turn, once. */
export function hurryWant(matching: Matching, want: Want, turn: number): void {
  const entry = { ...wantEntry(want), key0: turn }
  matching.urgent.set(want, entry)
  enqueue(matching, matching.urgents, want, entry, want)
}

/** Where in the queues a task stands. */
type Where = Pick<Want, 'kind' | 'model' | 'region'>

export function enqueue(
  { open }: Matching,
  queues: Matching['queues'],
  where: Where,
  entry: Entry,
  item: Want | Unread,
): void {
  const regions = ofClass(queues, where, () => new Map<Region | null, Tree>())
  const tree = regions.get(where.region) ?? emptyTree()
  regions.set(where.region, tree)
  insert(open, tree, item, entry)
}

/** Takes a task out of the queue; nothing happens if it is not in it. */
export function removeWant(matching: Matching, want: Want): void {
  if (!want.queued) return
  dequeue(matching, matching.queues, want, wantEntry(want))
  want.queued = false
  matching.queued--
  const entry = matching.urgent.get(want)
  if (!entry) return
  matching.urgent.delete(want)
  dequeue(matching, matching.urgents, want, entry)
}

export function dequeue({ open }: Matching, queues: Matching['queues'], where: Where, entry: Entry): void {
  const regions = queues.get(where.kind)!.get(where.model)!
  const tree = regions.get(where.region)!
  remove(open, tree, entry)
  if (tree.root === 0) regions.delete(where.region)
  if (regions.size === 0) queues.get(where.kind)!.delete(where.model)
}

/**
 * The task this provider should take now: the first in order that it may run, of the model that it has loaded while there is one.
 * So that nobody waits for long because of that, it does so a limited number of times in a row.
 */
export function bestWant(matching: Matching, supply: Supply, now: number): Match | null {
  if (supply.room < 1) return null
  if (matching.urgent.size > 0) {
    const next = firstWant(matching, supply, supply.offers, now)
    if (next && matching.urgent.has(next.want)) return next
  }
  if (supply.offers.length > 1 && supply.streak > 0 && supply.streak < MOST_IN_A_ROW) {
    const warm = firstWant(
      matching,
      supply,
      supply.offers.filter((offer) => offer.warm),
      now,
    )
    if (warm) return warm
  }
  return firstWant(matching, supply, supply.offers, now)
}

function firstWant(matching: Matching, supply: Supply, offers: readonly Ask[], now: number): Match | null {
  for (;;) {
    let best = firstIn(matching, matching.queues, null, supply, offers, now)
    if (matching.urgent.size > 0) best = firstIn(matching, matching.urgents, best, supply, offers, now)
    if (best === null || isRead(best)) return best
    best.want.read()
  }
}

/** What a search came upon first. */
type Found = Match | (Omit<Match, 'want'> & { want: Unread })
const isRead = (found: Found): found is Match => !isUnread(found.want)

function firstIn(
  matching: Matching,
  queues: Matching['queues'],
  before: Found | null,
  supply: Supply,
  offers: readonly Ask[],
  now: number,
): Found | null {
  const regions = supply.region === null ? [null] : [null, supply.region]
  let best = before
  for (const offer of offers) {
    const ofModel = queues.get(offer.kind)?.get(offer.model)
    if (!ofModel) continue
    const accept = (want: Want | Unread) => isUnread(want) || suits(want, supply, offer, now)
    for (const region of regions) {
      const tree = ofModel.get(region)
      if (!tree) continue
      const limit = best ? orderOf(matching, best.want).tag : Number.POSITIVE_INFINITY
      const found = first(matching.open, tree, Number(offer.ask), offer.reputation, EVERY, accept, limit)
      const want = matching.open.items[found]
      if (want && (!best || isBefore(orderOf(matching, want), orderOf(matching, best.want))))
        best = { want, supply, offer } as Found
    }
  }
  return best
}

function orderOf({ urgent }: Matching, want: Want | Unread): Order {
  const turn = urgent.size > 0 ? urgent.get(want as Want)?.key0 : undefined
  return turn === undefined ? want : { tag: turn, deadline: want.deadline, seq: want.seq }
}

/** What a task's place in the queue of its class follows from. */
export type Turn = Pick<Want, 'kind' | 'model' | 'region' | 'tag' | 'deadline' | 'seq'>
type Order = Pick<Turn, 'tag' | 'deadline' | 'seq'>

/** The order of the queue. */
export const isBefore = (x: Order, y: Order): boolean => (x.tag - y.tag || x.deadline - y.deadline || x.seq - y.seq) < 0

/** Tasks ahead are counted so far. */
export const MOST_AHEAD = 10_000

/** Tasks of the class that come before this turn, of all regions whose providers might run it. */
export function aheadOf(matching: Matching, turn: Turn): number {
  let ahead = 0
  for (const [region, tree] of matching.queues.get(turn.kind)?.get(turn.model) ?? []) {
    if (turn.region !== null && region !== null && region !== turn.region) continue
    for (const other of waitingIn(matching, tree)) {
      if (ahead === MOST_AHEAD || !isBefore(other, turn)) break
      ahead++
    }
  }
  return ahead
}

/* Offers */

/** Lists a provider's offers. */
export function addSupply(matching: Matching, supply: Supply): void {
  for (const offer of supply.offers) {
    list(matching, supply, offer, false)
    if (offer.hope !== null) list(matching, supply, offer, true)
  }
}

function list(matching: Matching, supply: Supply, offer: Ask, hopeful: boolean): void {
  const trees = ofClass(hopeful ? matching.hopefuls : matching.listings, offer, () => ({
    cheapest: emptyTree(),
    balanced: emptyTree(),
    fastest: emptyTree(),
  }))
  for (const preference of PREFERENCES) {
    const entry = offerEntry(preference, supply, offer, hopeful)
    const place: Place = { supply, offer, preference, hopeful, tree: trees[preference], entry, hidden: false }
    insert(matching.offers, place.tree, place, entry)
    supply.places.push(place)
  }
}

/** Unlists a provider's offers, as before they change. */
export function removeSupply(matching: Matching, supply: Supply): void {
  for (const { tree, entry } of supply.places) remove(matching.offers, tree, entry)
  supply.places = []
  for (const { kind, model } of supply.offers) {
    for (const listings of [matching.listings, matching.hopefuls]) {
      const models = listings.get(kind)
      if (models?.get(model)?.balanced.root === 0) models.delete(model)
    }
  }
}

/** Moves a provider's offers of one class to where its new score there puts them; once it is well known, among the newcomers no more. */
export function setReputation(
  matching: Matching,
  supply: Supply,
  { kind, model }: { kind: Kind; model: string },
  { reputation, hope }: Pick<Ask, 'reputation' | 'hope'>,
): void {
  for (const offer of supply.offers) {
    if (offer.kind !== kind || offer.model !== model) continue
    Object.assign(offer, { reputation, hope })
    relist(matching, supply, offer)
  }
}

/** A provider is given a task of this class: it has the model loaded from then on, and no other. */
export function noteModel(matching: Matching, supply: Supply, { kind, model }: { kind: Kind; model: string }): void {
  if (supply.offers.length < 2) return
  let same = true
  for (const offer of supply.offers) {
    const warm = offer.kind === kind && offer.model === model
    if (offer.warm === warm) continue
    same = false
    offer.warm = warm
    relist(matching, supply, offer)
  }
  if (!same) supply.loaded = classOf({ kind, model })
  supply.streak = same ? supply.streak + 1 : 1
}

/** Moves an offer to where its present merit puts it. */
function relist(matching: Matching, supply: Supply, offer: Ask): void {
  const isOver = (place: Place) => place.hopeful && place.offer.hope === null
  for (const place of supply.places) {
    if (place.offer !== offer) continue
    const { preference, hopeful, tree } = place
    remove(matching.offers, tree, place.entry)
    if (isOver(place)) continue
    place.entry = offerEntry(preference, supply, offer, hopeful)
    place.hidden = false
    insert(matching.offers, tree, place, place.entry)
  }
  if (supply.places.some(isOver)) supply.places = supply.places.filter((place) => !isOver(place))
}

/** Sets how many leases a provider can be given. */
export function setRoom(matching: Matching, supply: Supply, room: number): void {
  supply.room = room
  if (room < 1) return
  for (const place of supply.places) if (place.hidden) hide(matching, place, false)
}

/** The offer of one provider by which it may run this task now. */
export function supplyMatch(want: Want, supply: Supply, now: number): Match | null {
  const offer = supply.offers.find((each) => offerExclusion(want, supply, each, now) === null)
  return offer ? { want, supply, offer } : null
}

/** The best listed provider that may run this task now. */
export function bestSupply(matching: Matching, want: Want, now: number): Match | null {
  const trees = matching.listings.get(want.kind)?.get(want.model)
  return trees ? bestIn(matching, trees[want.preference], want, now) : null
}

/** Whether any provider of a class has room now, whatever it asks. */
export function hasRoom({ listings, offers }: Matching, { kind, model }: { kind: Kind; model: string }): boolean {
  const trees = listings.get(kind)?.get(model)
  if (!trees) return false
  const accept = ({ supply }: Place) => supply.room > 0
  return first(offers, trees.balanced, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, EVERY, accept) !== 0
}

/** The newcomer with most merit, were it as good as it may be, when that is no less than the best provider has. */
export function bestNewcomer(matching: Matching, want: Want, best: Match, now: number): Match | null {
  const trees = matching.hopefuls.get(want.kind)?.get(want.model)
  if (!trees) return null
  return bestIn(matching, trees[want.preference], want, now, merit(want.preference, best.offer))
}

function bestIn(
  matching: Matching,
  tree: Tree,
  want: Want,
  now: number,
  least = Number.NEGATIVE_INFINITY,
): Match | null {
  const accept = (place: Place) => {
    const { supply, offer } = place
    if (supply.room < 1) matching.full.push(place)
    return suits(want, supply, offer, now)
  }
  const found = first(matching.offers, tree, -Number(want.bid), -want.minReputation, wantMask(want), accept, -least)
  for (let place = matching.full.pop(); place; place = matching.full.pop()) hide(matching, place, true)
  if (found === 0) return null
  const { supply, offer } = matching.offers.items[found]!
  return { want, supply, offer }
}

/**
 * Hides a place from searches or shows it again. It is hidden only when a search has met it, so that a provider whose room
 * comes and goes costs nothing in the trees where nobody looked.
 */
function hide(matching: Matching, place: Place, hidden: boolean): void {
  place.hidden = hidden
  setMask(matching.offers, place.tree, place.entry, hidden ? 0 : supplyMask(place.supply))
}

/* Index entries. Prices are rounded to doubles here; rounding keeps their order, and `accept` compares them exactly. */

function wantEntry(want: Want): Entry {
  const { tag, deadline, seq, bid, minReputation } = want
  return { key0: tag, key1: deadline, key2: seq, a: Number(bid), b: minReputation, mask: EVERY }
}

function offerEntry(preference: Preference, supply: Supply, offer: Ask, hopeful: boolean): Entry {
  const reputation = hopeful ? offer.hope! : offer.reputation
  return {
    key0: -merit(preference, { ...offer, reputation }),
    key1: supply.seq,
    key2: supply.offers.indexOf(offer),
    a: -Number(offer.ask),
    b: -offer.reputation,
    mask: supplyMask(supply),
  }
}

/** One bit a region, and one for a provider that names none. */
const REGION_BITS = new Map<Region | null, number>([null, ...Region.options].map((region, bit) => [region, 1 << bit]))
const EVERY = 0xffff
const wantMask = (want: Want): number => (want.region === null ? EVERY : REGION_BITS.get(want.region)!)
const supplyMask = (supply: Supply): number => REGION_BITS.get(supply.region)!
