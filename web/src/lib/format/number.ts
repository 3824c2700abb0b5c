import { MISSING } from './missing.ts'

type Maybe = number | null | undefined
const known = (value: Maybe): value is number => typeof value === 'number' && Number.isFinite(value)
const COUNT = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const COMPACT = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 })

/** 1234567 -> '1,234,567'. */
export function formatCount(value: Maybe): string {
  return known(value) ? COUNT.format(value) : MISSING
}

/** 1234567 -> '1.2M'; below ten thousand as it is. */
export function formatCompact(value: Maybe): string {
  if (!known(value)) return MISSING
  return Math.abs(value) < 10_000 ? COUNT.format(value) : COMPACT.format(value)
}

/** A value in 0..1 -> '0.912'. */
export function formatUnitInterval(value: Maybe, digits = 3): string {
  return known(value) ? value.toFixed(digits) : MISSING
}

/** A score in 0..100 -> '87.4', and '100' when it is full. */
export function formatScore(value: Maybe): string {
  return known(value) ? value.toFixed(1).replace(/^100\.0$/, '100') : MISSING
}

/** A part of a whole -> '12 %'; small but real parts read '<1 %', and nothing of nothing is not known. */
export function formatShare(part: Maybe, whole: Maybe): string {
  if (!known(part) || !known(whole) || whole <= 0) return MISSING
  const percent = (100 * part) / whole
  if (percent > 0 && percent < 1) return '<1 %'
  if (percent > 99 && percent < 100) return '>99 %'
  return `${Math.round(percent)} %`
}
