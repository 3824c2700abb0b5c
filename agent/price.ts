import { formatAmount, isAmount } from '#core/money.ts'
import { UNITS } from '#core/pricing.ts'
import { KINDS, type Kind } from '#core/protocol.ts'

/** Half of what a requester pays when naming no ceiling: cheap enough to be matched, with room for others. */
export function defaultAsk(kind: Kind): string {
  return formatAmount(UNITS[kind].defaultBid / 2n)
}

/** `--price kind=amount` options -> asks by kind. Throws RangeError with what is wrong. */
export function parsePrices(options: string[]): Map<Kind, string> {
  const asks = new Map<Kind, string>()
  for (const option of options) {
    const [name, amount] = option.split('=')
    const kind = KINDS.find((known) => known === name)
    if (!kind || !amount || !isAmount(amount))
      throw new RangeError(`--price ${option}: write kind=amount, as in ${KINDS[0]}=${defaultAsk(KINDS[0]!)}`)
    asks.set(kind, amount)
  }
  return asks
}

/** 'per token', 'per page'. */
export function describeUnit(kind: Kind): string {
  return `per ${UNITS[kind].unit}`
}
