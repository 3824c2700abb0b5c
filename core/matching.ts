/**
 * Who may run a task, who runs it best, and which task a provider takes first.
 * `exclusion` is the rule; the indexes here only find quickly what it allows, and a property test holds them to it.
 */
import {
  before,
  createIndex,
  type Entry,
  first,
  insert,
  type OrderedIndex,
  remove,
  type Tree,
} from './ordered-index.ts'
import { type Address, type Kind, type Preference, Region } from './protocol.ts'

/** Why a provider may not run a task. Tested in this order; a candidate is given the first that holds. */
export const EXCLUSIONS = [
  'self',
  'kind',
  'model',
  'context',
  'region',
  'price',
  'reputation',
  'excluded',
  'avoided',
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
  /** The most it pays for a unit, base units. */
  bid: bigint
  preference: Preference
  minReputation: number
  minContext: number
  region: Region | null
  exclude: readonly Address[]
  /** Fair-queueing start tag; see `stamp`. */
  tag: number
  deadline: number
  /** Providers that failed it, kept away until `avoidUntil` so that a retry goes to another where there is one. */
  avoid: readonly Address[]
  avoidUntil: number
}

export type Ask = { kind: Kind; model: string; ask: bigint; speed: number; context: number }

/** What matching needs to know of a provider. */
export type Supply = {
  seq: number
  address: Address
  region: Region | null
  reputation: number
  offers: readonly Ask[]
  /** Leases it can take now. */
  room: number
  /** Number of the last grant it got; among equals the longest idle goes first. */
  lastGrant: number
}

export type Match = { want: Want; supply: Supply; offer: Ask }

type Idle = { supply: Supply; offer: Ask }
type Placed = { tree: Tree; node: number }

export type Matching = {
  open: OrderedIndex<Want>
  idle: OrderedIndex<Idle>
  openTrees: Map<string, Tree>
  idleTrees: Map<string, Record<Preference, Tree>>
  wants: Map<Want, number>
  idlers: Map<Supply, Placed[]>
}

export function createMatching(): Matching {
  return {
    open: createIndex(),
    idle: createIndex(),
    openTrees: new Map(),
    idleTrees: new Map(),
    wants: new Map(),
    idlers: new Map(),
  }
}

/** The resource class of a task or an offer: what must be equal before anything is compared. */
export const classOf = (of: { kind: Kind; model: string }): string => `${of.kind} ${of.model}`

/** Why this provider may not run this task with this offer now, or null when it may. */
function offerExclusion(want: Want, supply: Supply, offer: Ask, now: number): Exclusion | null {
  if (supply.address === want.requester) return 'self'
  if (offer.kind !== want.kind) return 'kind'
  if (offer.model !== want.model) return 'model'
  if (offer.context < want.minContext) return 'context'
  if (want.region !== null && supply.region !== want.region) return 'region'
  if (offer.ask > want.bid) return 'price'
  if (supply.reputation < want.minReputation) return 'reputation'
  if (want.exclude.includes(supply.address)) return 'excluded'
  if (now < want.avoidUntil && want.avoid.includes(supply.address)) return 'avoided'
  if (supply.room < 1) return 'slot'
  return null
}

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

/** How many providers each reason excludes, and how many may run the task. */
export function explain(want: Want, supplies: Iterable<Supply>, now: number) {
  const excluded: Partial<Record<Exclusion, number>> = {}
  let candidates = 0
  for (const supply of supplies) {
    const reason = exclusion(want, supply, now)
    if (reason === null) candidates++
    else excluded[reason] = (excluded[reason] ?? 0) + 1
  }
  return { candidates, excluded }
}

/** How much a requester minds price, time and reputation, by preference. */
const WEIGHTS: Record<Preference, { price: number; time: number; reputation: number }> = {
  cheapest: { price: 1, time: 0.1, reputation: 0.2 },
  balanced: { price: 0.5, time: 0.5, reputation: 0.5 },
  fastest: { price: 0.1, time: 1, reputation: 0.2 },
}
export const PREFERENCES = Object.keys(WEIGHTS) as Preference[]

/**
 * The merit of an offer: weighted logarithms, so that it is the ratio of two prices, speeds or reputations that counts,
 * whatever their units, and the order of two offers never depends on who else is there.
 */
export function merit(preference: Preference, supply: Supply, offer: Ask): number {
  const weight = WEIGHTS[preference]
  return (
    weight.time * Math.log(offer.speed) -
    weight.price * Math.log(Number(offer.ask) + 1) +
    weight.reputation * Math.log(0.05 + supply.reputation)
  )
}

/* Open tasks */

export function addWant(matching: Matching, want: Want): void {
  const name = classOf(want)
  const tree = matching.openTrees.get(name) ?? { root: 0 }
  matching.openTrees.set(name, tree)
  matching.wants.set(want, insert(matching.open, tree, want, wantEntry(want)))
}

/** Takes a task out of the queue; nothing happens if it is not in it. */
export function removeWant(matching: Matching, want: Want): void {
  const node = matching.wants.get(want)
  if (node === undefined) return
  const name = classOf(want)
  const tree = matching.openTrees.get(name)!
  remove(matching.open, tree, node)
  matching.wants.delete(want)
  if (tree.root === 0) matching.openTrees.delete(name)
}

/** The task this provider should take now: the first in order that it may run. */
export function bestWant(matching: Matching, supply: Supply, now: number): Match | null {
  if (supply.room < 1) return null
  let best = 0
  let bestOffer: Ask | null = null
  for (const offer of supply.offers) {
    const tree = matching.openTrees.get(classOf(offer))
    if (!tree) continue
    const accept = (want: Want) => offerExclusion(want, supply, offer, now) === null
    const node = first(matching.open, tree.root, Number(offer.ask), supply.reputation, supplyMask(supply), accept)
    if (node !== 0 && (best === 0 || before(matching.open, node, best))) {
      best = node
      bestOffer = offer
    }
  }
  return bestOffer && { want: matching.open.items[best]!, supply, offer: bestOffer }
}

/* Idle providers */

/** Lists a provider with room; it stays listed while its room changes, until `removeIdle`. */
export function addIdle(matching: Matching, supply: Supply): void {
  removeIdle(matching, supply)
  const placed: Placed[] = []
  for (const offer of supply.offers) {
    const name = classOf(offer)
    let trees = matching.idleTrees.get(name)
    if (!trees) {
      trees = { cheapest: { root: 0 }, balanced: { root: 0 }, fastest: { root: 0 } }
      matching.idleTrees.set(name, trees)
    }
    for (const preference of PREFERENCES) {
      const tree = trees[preference]
      const node = insert(matching.idle, tree, { supply, offer }, idleEntry(preference, supply, offer))
      placed.push({ tree, node })
    }
  }
  matching.idlers.set(supply, placed)
}

/** Unlists a provider; nothing happens if it is not listed. Call it before changing what `idleEntry` reads. */
export function removeIdle(matching: Matching, supply: Supply): void {
  const placed = matching.idlers.get(supply)
  if (!placed) return
  for (const { tree, node } of placed) remove(matching.idle, tree, node)
  matching.idlers.delete(supply)
  for (const offer of supply.offers) {
    const trees = matching.idleTrees.get(classOf(offer))
    if (trees?.balanced.root === 0) matching.idleTrees.delete(classOf(offer))
  }
}

/** The best listed provider that may run this task now. */
export function bestSupply(matching: Matching, want: Want, now: number): Match | null {
  const trees = matching.idleTrees.get(classOf(want))
  if (!trees) return null
  const accept = ({ supply, offer }: Idle) => offerExclusion(want, supply, offer, now) === null
  const { root } = trees[want.preference]
  const node = first(matching.idle, root, -Number(want.bid), -want.minReputation, wantMask(want), accept)
  if (node === 0) return null
  return { want, ...matching.idle.items[node]! }
}

/* Fair queueing */

/** Start-time fair queueing (Goyal, Vin, Cheng 1996), each task of a requester weighing one. */
export type Fairness = { virtual: number; finish: Map<Address, number> }

export const createFairness = (): Fairness => ({ virtual: 0, finish: new Map() })

/** The tag of a requester's next task: its turn, counted from now, after those it has already queued. */
export function stamp(fairness: Fairness, requester: Address): number {
  const tag = Math.max(fairness.virtual, fairness.finish.get(requester) ?? 0)
  fairness.finish.set(requester, tag + 1)
  return tag
}

/** Moves the queue's virtual time to the task being granted, and forgets requesters that it has passed. */
export function advance(fairness: Fairness, tag: number): void {
  if (tag <= fairness.virtual) return
  fairness.virtual = tag
  if (fairness.finish.size < 1024) return
  for (const [requester, finish] of fairness.finish) if (finish <= tag) fairness.finish.delete(requester)
}

/* Index entries. Prices are rounded to doubles here; rounding keeps their order, and `accept` compares them exactly. */

function wantEntry(want: Want): Entry {
  const { tag, deadline, seq, bid, minReputation } = want
  return { key0: tag, key1: deadline, key2: seq, a: Number(bid), b: minReputation, mask: wantMask(want) }
}

function idleEntry(preference: Preference, supply: Supply, offer: Ask): Entry {
  return {
    key0: -merit(preference, supply, offer),
    key1: supply.lastGrant,
    key2: supply.seq,
    a: -Number(offer.ask),
    b: -supply.reputation,
    mask: supplyMask(supply),
  }
}

/** One bit a region, and one for a provider that names none. */
const REGION_BITS = new Map<Region | null, number>([null, ...Region.options].map((region, bit) => [region, 1 << bit]))
const ANY_REGION = 0xffff
const wantMask = (want: Want): number => (want.region === null ? ANY_REGION : REGION_BITS.get(want.region)!)
const supplyMask = (supply: Supply): number => REGION_BITS.get(supply.region)!
