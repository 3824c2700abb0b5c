/**
 * A book written down whole, so that the events before it can go. Plain data for structured clone: a head, and its many
 * providers, purses and open tasks apart from it, so that they can be stored in pieces. Tasks on pages are written there.
 */
import { addProvider, asksOf, type Book, createBook, openTask, type Provider } from './book.ts'
import type { Charge } from './charges.ts'
import type { Supply } from './matching.ts'
import { createOutlook, type Outlook } from './outlook.ts'
import { addPage, type PageEntry, type PageTask } from './pages.ts'
import type { Address } from './protocol/values.ts'
import type { Purse } from './purse.ts'
import { createStats } from './stats.ts'
import type { Task } from './task.ts'

/** Increased when an older reader would misread what is written. */
const SNAPSHOT_VERSION = 5

export type SnapshotHead = { version: number } & Pick<
  Book,
  'cell' | 'classes' | 'measured' | 'binFrom' | 'fairness' | 'lastTask' | 'fees' | 'stats'
> &
  /** None in snapshots of before tasks at risk went first. */
  Partial<Pick<Book, 'hurried'>> & { pages?: PageEntry[] }

export type SnapshotPart =
  | { type: 'provider'; provider: Provider }
  | { type: 'charge'; provider: Address; charge: Charge }
  | { type: 'purse'; purse: Purse }
  | { type: 'outlook'; name: string; outlook: Outlook }
  | { type: 'task'; task: Task; tag: number; turn?: number; deadline: number }

export function headOf(book: Book): SnapshotHead {
  const { cell, classes, measured, binFrom, fairness, hurried, lastTask, fees, stats } = book
  const kept = { cell, classes, measured, binFrom, fairness, hurried, lastTask, fees, stats }
  return { version: SNAPSHOT_VERSION, ...kept, pages: [...book.pages.values()].map(({ entry }) => entry) }
}

export function* partsOf(book: Book): Generator<SnapshotPart> {
  for (const provider of book.providers.values()) {
    yield { type: 'provider', provider: unlisted(provider) }
    const { address } = provider.supply
    for (const charge of provider.charges.values()) yield { type: 'charge', provider: address, charge }
  }
  for (const purse of book.purses.values()) yield { type: 'purse', purse }
  for (const [name, outlook] of book.outlooks) yield { type: 'outlook', name, outlook }
  for (const { task, want, turn, deadline, page } of book.tasks.values()) {
    if (page === null) yield { type: 'task', task, tag: want.tag, ...(turn !== undefined && { turn }), deadline }
  }
}

/** Builds a book from what `headOf` and `partsOf` gave, and pages by their numbers. Nobody is connected to it yet. */
export function restore(
  head: SnapshotHead,
  parts: Iterable<SnapshotPart>,
  now: number,
  pageOf: (number: number) => PageTask[] = noPage,
): Book {
  const { version, pages = [], ...kept } = head
  if (version > SNAPSHOT_VERSION) throw new Error(`snapshot version ${version} is later than ${SNAPSHOT_VERSION}`)
  const book: Book = { ...createBook(head.cell), ...kept, stats: { ...createStats(), ...kept.stats } }
  for (const part of parts) {
    switch (part.type) {
      case 'provider':
        addProvider(book, listed(part.provider))
        break
      case 'charge':
        book.providers.get(part.provider)!.charges.set(part.charge.account ?? part.charge.requester, part.charge)
        break
      case 'purse':
        book.purses.set(part.purse.id, part.purse)
        break
      case 'outlook':
        book.outlooks.set(part.name, version < 5 ? begunAnew(part.outlook) : part.outlook)
        break
      case 'task':
        openTask(book, upgraded(part.task), part, part.deadline, now)
    }
  }
  for (const entry of pages) addPage(book, entry, () => pageOf(entry.number), now)
  return book
}

function noPage(number: number): never {
  throw new Error(`nothing gives page ${number}`)
}

/** Before version 5 what was learned was kept in other forms, in four times as much. It begins anew, but for the counts of its bin. */
function begunAnew({ submitted, succeeded, failed, units, paid, usedAt }: Outlook): Outlook {
  return { ...createOutlook(), submitted, succeeded, failed, units, paid, usedAt }
}

/** Before version 2 an attempt was paid by its result alone. */
function upgraded(task: Task): Task {
  return { ...task, attempts: task.attempts.map((attempt) => ({ ...attempt, units: attempt.units ?? 0 })) }
}

/** About how many bytes a value takes when it is written down; never far too few. */
export function sizeOf(value: unknown): number {
  switch (typeof value) {
    case 'string':
      return value.length * 2 + 8
    case 'object': {
      if (value === null) return 1
      let size = 16
      if (Array.isArray(value)) for (const item of value) size += sizeOf(item)
      else if (value instanceof Map) for (const [key, item] of value) size += sizeOf(key) + sizeOf(item)
      else for (const key in value) size += key.length + 4 + sizeOf((value as Record<string, unknown>)[key])
      return size
    }
    default:
      return 12
  }
}

/** What follows from the registration, where its offers stand in the indexes, and whether it can be reached, is not kept. */
function unlisted(provider: Provider): Provider {
  return {
    ...provider,
    charges: new Map(),
    reachable: false,
    supply: { ...provider.supply, offers: [], room: 0, places: [] },
  }
}

/**
 * Before version 3 a provider had one reputation, which no public log bears out: it begins anew; and nobody kept who was
 * charged what. Later still nobody kept which device had earned what.
 */
function listed({ reputations = new Map(), charged = 0n, byDevice = new Map(), ...provider }: Provider): Provider {
  const { loaded = null, streak = 0 } = provider.supply as Partial<Supply>
  const offers = asksOf(provider.registration, reputations, loaded)
  const supply = { ...provider.supply, offers, loaded, streak }
  return { ...provider, reputations, charged, byDevice, charges: new Map(), supply }
}
