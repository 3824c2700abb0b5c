/** The providers as anybody may look them up, each beside the others of its classes. */
import * as z from 'zod'
import type { Book, Provider } from './book.ts'
import { earningsOf } from './device-earnings.ts'
import { isActive } from './health.ts'
import { classOf } from './matching.ts'
import { formatAmount, parseAmount } from './money.ts'
import { ProviderSummary } from './protocol/network.ts'
import { Earnings, Offer, SealingKey } from './protocol/provider.ts'
import { Address } from './protocol/values.ts'
import { byStanding, providerSummary, type Standing } from './views.ts'

const PAGE = 100

export const ProviderPath = z.object({ address: Address })

/** A provider's place in the list: whether it is active, the lower bound of its reputation, its address. */
const Cursor = z.string().regex(/^[01]~[0-9.e-]{1,24}~0x[0-9a-f]{40}$/, 'must be `next` of an answer')

export const ProviderListQuery = z.object({
  after: Cursor.optional().describe('`next` of the answer before.'),
})

export const ProviderList = z
  .object({
    providers: z.array(ProviderSummary).describe('The active ones first, each by the lower bound of its reputation.'),
    next: z.string().nullable().describe('Ask again with it as `after` for those that follow; null at the end.'),
  })
  .meta({ id: 'ProviderList' })
export type ProviderList = z.output<typeof ProviderList>

const Time = z.int().describe('Unix milliseconds.')

/** Those that named the account as their owner, and the account itself where it is a provider. */
export const OwnProviders = z
  .object({
    providers: z
      .array(ProviderSummary.extend({ earnings: Earnings }))
      .describe('Those that earned most first, at most 100.'),
  })
  .meta({ id: 'OwnProviders' })
export type OwnProviders = z.output<typeof OwnProviders>

export const ProviderView = ProviderSummary.omit({ offers: true })
  .extend({
    agent: z.string().describe('The program that it runs, as it names it.'),
    registeredAt: Time,
    heardAt: Time.describe('When it was last heard of.'),
    sealing: SealingKey.exactOptional(),
    rank: z.int().describe('Its place in GET /v1/providers, from 1.'),
    offers: z.array(
      Offer.extend({
        others: z
          .object({
            providers: z.int(),
            medianAsk: z.string().nullable().describe('Tokens a unit; null without others.'),
            medianSpeed: z.number().nullable().describe('Units a second; null without others.'),
          })
          .describe('The other active providers of its cell that offer the same.'),
      }),
    ),
  })
  .meta({ id: 'Provider' })
export type ProviderView = z.output<typeof ProviderView>

/** A page of all that ever registered. */
export function providerList(book: Book, after: string | undefined, now: number): ProviderList {
  const all = ranked(summaries(book, now))
  return pageOf(after === undefined ? all : all.filter((one) => isBehind(one, after)), false)
}

/** The pages of several markets as one. */
export const mergedList = (pages: ProviderList[]): ProviderList =>
  pageOf(
    ranked(pages.flatMap(({ providers }) => providers)),
    pages.some(({ next }) => next !== null),
  )

function pageOf(all: ProviderSummary[], more: boolean): ProviderList {
  const providers = all.slice(0, PAGE)
  return { providers, next: more || all.length > PAGE ? cursorOf(providers.at(-1)!) : null }
}

export const cursorOf = ({ active, reputation, address }: Ranked): string =>
  `${Number(active)}~${reputation.low}~${address}`

function isBehind(one: ProviderSummary, cursor: string): boolean {
  const [active, low, address] = cursor.split('~') as [string, string, Address]
  return order({ active: active === '1', reputation: { low: Number(low) }, address }, one) < 0
}

/** How many providers of a market come before this place in the list. */
export const rankedBefore = (book: Book, cursor: string, now: number): number =>
  summaries(book, now).filter((one) => !isBehind(one, cursor)).length

/** Null when nobody registered by this address. */
export function providerView(book: Book, address: Address, now: number): ProviderView | null {
  const provider = book.providers.get(address)
  if (!provider) return null
  const { registration, registeredAt, heardAt } = provider
  return {
    ...providerSummary(provider, now),
    agent: registration.agent,
    registeredAt,
    heardAt,
    ...(registration.sealing && { sealing: registration.sealing }),
    rank: rankedBefore(book, cursorOf(providerSummary(provider, now)), now),
    offers: registration.offers.map((offer) => ({ ...offer, others: othersOf(book, provider, offer, now) })),
  }
}

/** Whether the provider is the owner's, by its own word. */
export const isOwnedBy = ({ supply, registration }: Provider, owner: Address): boolean =>
  supply.address === owner || registration.owner === owner

/** The providers of an owner. */
export const ownProviders = (book: Book, owner: Address, now: number): OwnProviders => ({
  providers: [...book.providers.values()]
    .filter((provider) => isOwnedBy(provider, owner))
    .sort((x, y) => (x.earned > y.earned ? -1 : x.earned < y.earned ? 1 : 0))
    .slice(0, PAGE)
    .map((provider) => ({ ...providerSummary(provider, now), earnings: earningsOf(provider) })),
})

/** An owner's providers in several markets as one list. */
export const mergedOwn = (lists: OwnProviders[]): OwnProviders => ({
  providers: lists
    .flatMap(({ providers }) => providers)
    .sort((x, y) => Number(y.earned) - Number(x.earned))
    .slice(0, PAGE),
})

const summaries = (book: Book, now: number): ProviderSummary[] =>
  [...book.providers.values()].map((provider) => providerSummary(provider, now))

const ranked = (all: ProviderSummary[]): ProviderSummary[] => all.sort(order)

type Ranked = Standing & { address: Address }

const order = (x: Ranked, y: Ranked): number =>
  byStanding(x, y) || (x.address === y.address ? 0 : x.address < y.address ? -1 : 1)

function othersOf(book: Book, own: Provider, offer: Offer, now: number) {
  const offers = [...book.providers.values()]
    .filter((provider) => provider !== own && isActive(provider, now))
    .flatMap(({ registration }) => registration.offers.find((other) => classOf(other) === classOf(offer)) ?? [])
  const asks = offers.map(({ ask }) => parseAmount(ask)).sort((x, y) => (x < y ? -1 : x > y ? 1 : 0))
  const speeds = offers.map(({ speed }) => speed).sort((x, y) => x - y)
  const middle = Math.floor((offers.length - 1) / 2)
  return {
    providers: offers.length,
    medianAsk: asks.length > 0 ? formatAmount(asks[middle]!) : null,
    medianSpeed: speeds[middle] ?? null,
  }
}
