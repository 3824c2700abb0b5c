/**
 * The cells of a market. Each is a market of its own, that matches the tasks it has taken with the providers that are at home in it; a
 * network grows by adding cells. A provider is at home in one, so that its slots are given out in one place, and those who offer the same are
 * together until they are more than a cell bears: they go on with each other's work and check it. A task goes where those are who can run it,
 * and its id says where it went.
 */
import type { Book } from './book.ts'
import { splitDigest } from './capability.ts'
import { REASONS, type Reason } from './explain.ts'
import { isActive } from './health.ts'
import { classOf, parseClass } from './matching.ts'
import { min } from './money.ts'
import type { Quote } from './protocol/quote.ts'
import type { Kind } from './protocol/work.ts'
import type { TaskRequest } from './request.ts'

/** The cell that a network begins with. */
export const FIRST_CELL = 'c1'
const MOST_CELLS = 64
/** With so many providers there, whoever comes new goes elsewhere: at a task a second each it is about what an object bears on the platform. */
const FULL = 256

/** @throws RangeError for no number from 1 to 64 */
export function cellNames(count: number): string[] {
  if (!Number.isSafeInteger(count) || count < 1 || count > MOST_CELLS) {
    throw new RangeError(`a market has 1 to ${MOST_CELLS} cells`)
  }
  return Array.from({ length: count }, (_, i) => `c${i + 1}`)
}

/** What a cell has of one class: slots of those who are there, what is free of them and the least they ask; base units. */
type ClassLoad = { slots: number; free: number; leastAsk: bigint }
/**
 * `providers` are those who are there, `open` the tasks that have not ended. `classes` are all that the cell has ever known; of those that nobody
 * offers now there are no slots.
 */
export type CellLoad = { cell: string; providers: number; open: number; classes: Map<string, ClassLoad> }

/** One look at each provider. */
export function loadOf(book: Book, now: number): CellLoad {
  const classes = new Map<string, ClassLoad>()
  let providers = 0
  for (const name of book.classes) classes.set(name, { slots: 0, free: 0, leastAsk: 0n })
  for (const provider of book.providers.values()) {
    if (!isActive(provider, now)) continue
    providers++
    const leastAsks = new Map<string, bigint>()
    for (const offer of provider.supply.offers) {
      const known = leastAsks.get(classOf(offer))
      leastAsks.set(classOf(offer), known === undefined ? offer.ask : min(known, offer.ask))
    }
    for (const [name, ask] of leastAsks) {
      const load = classes.get(name)!
      load.leastAsk = load.slots === 0 ? ask : min(load.leastAsk, ask)
      load.slots += provider.registration.slots
      load.free += provider.supply.room
    }
  }
  return { cell: book.cell, providers, open: book.occupancy.tasks, classes }
}

/** Where a provider that comes new is to be at home: with most slots for what it offers, or where there are fewest providers. */
export function chooseHome(loads: CellLoad[], offers: { kind: Kind; model: string }[]): string {
  const names = new Set(offers.map(classOf))
  const alike = ({ classes }: CellLoad) =>
    [...names].reduce((slots, name) => slots + (classes.get(name)?.slots ?? 0), 0)
  const least = Math.min(...loads.map(({ providers }) => providers))
  const open = loads.filter(({ providers }) => providers < FULL || providers === least)
  return open.reduce((best, one) => ((alike(one) - alike(best) || best.providers - one.providers) > 0 ? one : best))
    .cell
}

type Wanted = Pick<TaskRequest, 'kind' | 'model' | 'bid'>

/** How well a cell can take a task: it has somebody for that price, or only for more, or knows the class, or does not. */
const [FITS, DEAR, KNOWN, UNKNOWN] = [3, 2, 1, 0]

/**
 * The cell that is to take these tasks together: one that can take all of them, by lot in proportion to what each has free of them; where
 * none has anything free, to its slots for each task that is open.
 * @param lot evenly in 0..1
 * @returns the cell, and whether it can take them all
 */
export function chooseCell(loads: CellLoad[], wants: Wanted[], lot: number): { cell: string; fits: boolean } {
  const classes = [...new Map(wants.map((want) => [`${want.kind} ${want.model} ${want.bid}`, want])).values()]
  const rated = loads.map((load) => {
    const found = classes.map((want) => rate(load, want))
    return {
      cell: load.cell,
      rating: Math.min(...found.map(({ rating }) => rating)),
      free: Math.min(...found.map(({ free }) => free)),
      share: Math.min(...found.map(({ slots }) => slots)) / (1 + load.open),
    }
  })
  const best = Math.max(...rated.map(({ rating }) => rating))
  const able = rated.filter(({ rating }) => rating === best)
  const weight = able.some(({ free }) => free > 0) ? 'free' : 'share'
  const all = able.reduce((sum, one) => sum + one[weight], 0)
  let left = lot * all
  const drawn = able.find((one) => {
    left -= one[weight]
    return left < 0
  })
  return { cell: (drawn ?? able[0]!).cell, fits: best === FITS }
}

function rate({ classes }: CellLoad, { kind, model, bid }: Wanted): { rating: number; slots: number; free: number } {
  const offered =
    model === null ? ofKind(classes, kind) : (classes.get(classOf({ kind, model })) ?? exact(classes, kind, model))
  if (!offered) return { rating: UNKNOWN, slots: 0, free: 0 }
  const { slots, free, leastAsk } = offered
  return { rating: slots === 0 ? KNOWN : leastAsk > bid ? DEAR : FITS, slots, free }
}

/** The class of its kind that most slots offer. */
function ofKind(classes: CellLoad['classes'], kind: Kind): ClassLoad | undefined {
  const own = [...classes].filter(([name]) => parseClass(name).kind === kind)
  return own.sort(([, x], [, y]) => y.slots - x.slots)[0]?.[1]
}

function exact(classes: CellLoad['classes'], kind: Kind, model: string): ClassLoad | undefined {
  const named = splitDigest(model)
  return named ? classes.get(classOf({ kind, model: named.model })) : undefined
}

/** Whether anybody may run the task who offers its class for its price, so that a cell is chosen by its load alone. */
export const isForAnybody = ({ variant, minContext, minReputation, region, exclude, assurance, model }: TaskRequest) =>
  !variant &&
  minContext === 0 &&
  minReputation === 0 &&
  !region &&
  exclude.length === 0 &&
  !assurance &&
  !model?.includes('@')

/**
 * Which of some cells' quotes for one task is the best to take: it has candidates, enough of them, and starts soonest; then the cheapest. Where
 * nobody has any, the one whose providers fail by the last of the filters: it says best what is missing.
 */
export function bestQuote<Q extends { quote: Quote }>(quotes: Q[]): Q {
  const known = (value: number | null) => value ?? Number.POSITIVE_INFINITY
  const price = ({ price: { expected } }: Quote) => known(expected === null ? null : Number(expected))
  return quotes.reduce((best, one) => {
    const [x, y] = [best.quote, one.quote]
    const by =
      Number(y.candidates > 0) - Number(x.candidates > 0) ||
      closeness(y) - closeness(x) ||
      Number(y.assurance?.enough ?? true) - Number(x.assurance?.enough ?? true) ||
      compare(known(x.wait.p50Ms), known(y.wait.p50Ms)) ||
      compare(price(x), price(y)) ||
      y.candidates - x.candidates
    return by > 0 ? one : best
  })
}

/** How far the providers come that are no candidates. */
const closeness = ({ failing }: Quote): number => REASONS.indexOf(failing as Reason)

/** Positive when x is more; infinities are alike. */
const compare = (x: number, y: number): number => (x === y ? 0 : x < y ? -1 : 1)
