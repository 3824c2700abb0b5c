import { MISSING } from './missing.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const pair = (big: number, bigUnit: string, small: number, smallUnit: string): string =>
  small ? `${big} ${bigUnit} ${small} ${smallUnit}` : `${big} ${bigUnit}`

/** Milliseconds -> '420 ms', '4.2 s', '42 s', '3 min 5 s', '2 h 5 min', '3 d 4 h'. */
export function formatDuration(ms: number | null | undefined): string {
  if (typeof ms !== 'number' || !Number.isFinite(ms) || ms < 0) return MISSING
  if (ms === 0) return '0 ms'
  if (ms < 1) return '<1 ms'
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 9_950) return `${(ms / SECOND).toFixed(1)} s`
  const seconds = Math.round(ms / SECOND)
  if (seconds < 60) return `${seconds} s`
  if (ms < HOUR - 500) return pair(Math.floor(seconds / 60), 'min', seconds % 60, 's')
  const minutes = Math.round(ms / MINUTE)
  if (ms < DAY - MINUTE / 2) return pair(Math.floor(minutes / 60), 'h', minutes % 60, 'min')
  const hours = Math.round(ms / HOUR)
  return pair(Math.floor(hours / 24), 'd', hours % 24, 'h')
}
