/**
 * Money is a bigint of base units of the network token (18 decimals, as on chain).
 * On the wire an amount is a decimal string of tokens: '0.000002'.
 */
export const DECIMALS = 18
export const ONE_TOKEN = 10n ** BigInt(DECIMALS)

const PATTERN = new RegExp(`^(0|[1-9]\\d{0,17})(?:\\.(\\d{1,${DECIMALS}}))?$`)

/** True for a non-negative decimal token amount with at most 18 decimals. */
export function isAmount(text: string): boolean {
  return PATTERN.test(text)
}

/** Tokens as a decimal string -> base units. Throws RangeError for anything `isAmount` refuses. */
export function parseAmount(text: string): bigint {
  const match = PATTERN.exec(text)
  if (!match) throw new RangeError(`not a token amount: ${text}`)
  return BigInt(match[1]!) * ONE_TOKEN + BigInt((match[2] ?? '').padEnd(DECIMALS, '0'))
}

/** Base units -> shortest decimal string of tokens; the exact inverse of `parseAmount`. */
export function formatAmount(amount: bigint): string {
  const sign = amount < 0n ? '-' : ''
  const digits = (amount < 0n ? -amount : amount).toString().padStart(DECIMALS + 1, '0')
  const fraction = digits.slice(-DECIMALS).replace(/0+$/, '')
  return sign + digits.slice(0, -DECIMALS) + (fraction && `.${fraction}`)
}

/** The network's share of every captured price, in basis points, taken from the provider's side. */
export const FEE_BASIS_POINTS = 100n

/**
 * An ask is a multiple of this many base units, so whatever the fee is in basis points, it is whole for every task, and the sum
 * of the tasks' fees is the fee of their sum: the market takes it of each, the contract of a claim.
 */
export const ASK_STEP = 10_000n

export const isAsk = (text: string): boolean => isAmount(text) && parseAmount(text) % ASK_STEP === 0n

/** The greatest ask that is not above `amount`; the least there is when that is nothing. */
export const toAsk = (amount: bigint): bigint => max(amount - (amount % ASK_STEP), ASK_STEP)

/** Splits a price into what the provider earns and the network's fee; the parts always sum to the price. */
export function splitFee(price: bigint): { earned: bigint; fee: bigint } {
  const fee = (price * FEE_BASIS_POINTS) / 10_000n
  return { earned: price - fee, fee }
}

export const min = (a: bigint, b: bigint): bigint => (a < b ? a : b)
export const max = (a: bigint, b: bigint): bigint => (a > b ? a : b)
