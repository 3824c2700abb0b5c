/** Classes of work as the market page lists them. Pure. */
import { isAmount, parseAmount } from '#core/money.ts'
import type { ClassForecast } from '#core/protocol/forecast.ts'
import type { ProviderSummary } from '#core/protocol/network.ts'
import type { Kind } from '#core/protocol/work.ts'

export type Supply = { slots: number; busy: number; leastAsk: string | null }

/** What the active of these providers offer of a class. Slots are shared by all that a provider offers. */
export function supplyOf(providers: readonly ProviderSummary[], kind: Kind, model: string): Supply {
  const supply: Supply = { slots: 0, busy: 0, leastAsk: null }
  for (const { active, slots, busy, offers } of providers) {
    const offer = active && offers.find((one) => one.kind === kind && one.model === model)
    if (!offer) continue
    supply.slots += slots
    supply.busy += busy
    if (isAmount(offer.ask) && (supply.leastAsk === null || parseAmount(offer.ask) < parseAmount(supply.leastAsk)))
      supply.leastAsk = offer.ask
  }
  return supply
}

export type Tops = { demand: number; wait: number; finish: number }

/** The ends of the bars, so that the same length means the same in every row. */
export function topsOf(classes: readonly ClassForecast[]): Tops {
  const most = (of: (one: ClassForecast) => number | undefined) => Math.max(0, ...classes.map((one) => of(one) ?? 0))
  return {
    demand: most(({ demand }) => demand?.hour.p90),
    wait: most(({ waitMs }) => waitMs?.p90),
    finish: most(({ finishMs }) => finishMs?.p90),
  }
}

/** What so many slots of the class may earn in the next hour, in tokens. */
export function earningsOf({ earnings }: ClassForecast, slots: number) {
  if (!earnings) return null
  const { p10, p50, p90, basis } = earnings.hour
  return { p10: slots * Number(p10), p50: slots * Number(p50), p90: slots * Number(p90), basis }
}
