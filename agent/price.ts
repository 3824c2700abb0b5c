import { formatAmount, isAmount, isAsk, parseAmount, toAsk } from '#core/money.ts'
import { UNITS } from '#core/pricing.ts'
import type { ClassForecast } from '#core/protocol/forecast.ts'
import { KINDS, type Kind } from '#core/protocol/work.ts'

/** Half of what a requester pays when naming no ceiling: cheap enough to be matched, with room for others. */
export function defaultAsk(kind: Kind): string {
  return formatAmount(UNITS[kind].defaultBid / 2n)
}

/** What the market says of each class. */
export type Index = Pick<ClassForecast, 'kind' | 'model' | 'suggestedAsk'>[]
export type Proposal = { ask: string; basis: 'set' | 'index' | 'default' }

/**
 * What to ask for a unit: what the owner set; else what the market suggests by what units of this model sell for, though no more
 * than a requester pays when naming no ceiling; else the default.
 */
export function proposeAsk(kind: Kind, model: string, set: Map<Kind, string>, index: Index): Proposal {
  const own = set.get(kind)
  if (own !== undefined) return { ask: own, basis: 'set' }
  const suggested = index.find((one) => one.kind === kind && one.model === model)?.suggestedAsk
  if (typeof suggested !== 'string' || !isAmount(suggested) || parseAmount(suggested) === 0n)
    return { ask: defaultAsk(kind), basis: 'default' }
  const { defaultBid } = UNITS[kind]
  return {
    ask: parseAmount(suggested) > defaultBid ? formatAmount(defaultBid) : formatAmount(toAsk(parseAmount(suggested))),
    basis: 'index',
  }
}

/** `--price kind=amount` options -> asks by kind. Throws RangeError with what is wrong. */
export function parsePrices(options: string[]): Map<Kind, string> {
  const asks = new Map<Kind, string>()
  for (const option of options) {
    const [name, amount] = option.split('=')
    const kind = KINDS.find((known) => known === name)
    if (!kind || !amount || !isAsk(amount))
      throw new RangeError(`--price ${option}: write kind=amount, as in ${KINDS[0]}=${defaultAsk(KINDS[0]!)}`)
    asks.set(kind, amount)
  }
  return asks
}

/** 'per token', 'per page'. */
export function describeUnit(kind: Kind): string {
  return `per ${UNITS[kind].unit}`
}
