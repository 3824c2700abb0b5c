import { isAmount, ONE_TOKEN, parseAmount } from '#core/money.ts'
import { UNITS } from '#core/pricing.ts'
import type { Kind } from '#core/protocol/work.ts'
import { MISSING } from './missing.ts'

/** The network token's symbol. */
export const SYMBOL = 'DAICN'
const DIGITS = 4
const SMALLEST = ONE_TOKEN / 1_000_000n
const LARGE = ONE_TOKEN * 1_000_000_000n
const MILLION = 1_000_000n
const COMPACT = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 })

/** A decimal token amount, rounded to four significant digits (whole tokens are kept up to a billion): '1,205', '0.0042', '<0.000001', '1.2B'. */
export function formatAmount(amount: string | null | undefined): string {
  if (typeof amount !== 'string' || !isAmount(amount)) return MISSING
  return shorten(parseAmount(amount))
}

/** The same amount in full, for a tooltip. */
export function exactAmount(amount: string | null | undefined): string {
  return typeof amount === 'string' && isAmount(amount) ? `${amount} ${SYMBOL}` : 'unknown'
}

/** An ask as people compare it: per page, or per million of the kind's unit. */
export function formatAsk(kind: Kind, ask: string): { amount: string; unit: string } {
  const known = Object.hasOwn(UNITS, kind) ? UNITS[kind] : undefined
  if (!isAmount(ask)) return { amount: MISSING, unit: '' }
  if (!known) return { amount: shorten(parseAmount(ask)), unit: '/ unit' }
  const amount = shorten(known.perMillion ? parseAmount(ask) * MILLION : parseAmount(ask))
  return { amount, unit: known.perMillion ? `/ 1M ${known.unit}s` : `/ ${known.unit}` }
}

/** Tokens that are only forecast, to three digits. */
export const formatRough = (tokens: number): string => (tokens === 0 ? '0' : tokens.toPrecision(3))

function shorten(base: bigint): string {
  if (base === 0n) return '0'
  if (base < SMALLEST) return '<0.000001'
  if (base >= LARGE) return COMPACT.format(base / ONE_TOKEN)
  const rounded = round(base)
  const whole = (rounded / ONE_TOKEN).toString().replace(/\B(?=(\d{3})+$)/g, ',')
  const fraction = (rounded % ONE_TOKEN).toString().padStart(18, '0').replace(/0+$/, '')
  return fraction ? `${whole}.${fraction}` : whole
}

/** Half up, to four significant digits but never coarser than one token. */
function round(base: bigint): bigint {
  const length = base.toString().length
  const step = 10n ** BigInt(Math.min(18, Math.max(0, length - DIGITS)))
  return ((base + step / 2n) / step) * step
}
