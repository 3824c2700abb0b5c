import { isAmount, parseAmount } from '#core/money.ts'
import type { ProviderSummary } from '#core/protocol/network.ts'
import { regionName } from './format/region.ts'

export const ORDERS = ['reputation', 'succeeded', 'earned', 'slots', 'name'] as const
export type Order = (typeof ORDERS)[number]

type Compare = (a: ProviderSummary, b: ProviderSummary) => number
const earned = ({ earned }: ProviderSummary): bigint => (isAmount(earned) ? parseAmount(earned) : -1n)
const title = ({ name, address }: ProviderSummary): string => name.trim().toLowerCase() || address
const sign = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0)
const text = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const COMPARE: Record<Order, Compare> = {
  // A score is worth what is sure of it: the lower end of its interval.
  reputation: (a, b) => b.reputation.low - a.reputation.low,
  succeeded: (a, b) => b.succeeded - a.succeeded,
  earned: (a, b) => sign(earned(b), earned(a)),
  slots: (a, b) => b.slots - a.slots,
  name: (a, b) => text(title(a), title(b)),
}

/** Active ones first, then by `order`; ties by address, so that rows hold still. */
export function sortProviders(providers: readonly ProviderSummary[], order: Order): ProviderSummary[] {
  const compare = COMPARE[order]
  return providers.toSorted(
    (a, b) => Number(b.active) - Number(a.active) || compare(a, b) || text(a.address, b.address),
  )
}

/** Those that have every word of `query` in their name, address, region, kinds or models. */
export function filterProviders(providers: readonly ProviderSummary[], query: string): readonly ProviderSummary[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean)
  if (words.length === 0) return providers
  return providers.filter((provider) => {
    const { name, address, region, offers } = provider
    const where = region ? [region, regionName(region)] : []
    const hay = [name, address, ...where, ...offers.flatMap(({ kind, model }) => [kind, model])]
      .join('\n')
      .toLowerCase()
    return words.every((word) => hay.includes(word))
  })
}

/** Slots of the active providers, and how many of them work now. */
export function countSlots(providers: readonly ProviderSummary[]): { slots: number; busy: number } {
  const active = providers.filter((provider) => provider.active)
  return {
    slots: active.reduce((sum, { slots }) => sum + slots, 0),
    busy: active.reduce((sum, { busy }) => sum + busy, 0),
  }
}
