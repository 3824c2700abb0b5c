import { MISSING } from './missing.ts'

const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })
const ABSOLUTE = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'long' })
/** Times of Date end here; Intl throws past it. */
const LAST = 8.64e15
const known = (at: number | null | undefined): at is number => typeof at === 'number' && Math.abs(at) <= LAST

/** Unix milliseconds -> '13:05', local time. */
export function formatClock(at: number | null | undefined): string {
  return known(at) ? CLOCK.format(at) : MISSING
}

/** Unix milliseconds -> '22 Nov 2026, 13:05:12 GMT', local time. */
export function formatAbsolute(at: number | null | undefined): string {
  return known(at) ? ABSOLUTE.format(at) : 'unknown'
}

/** For `<time datetime>`; undefined leaves the attribute out. */
export function formatMachine(at: number | null | undefined): string | undefined {
  return known(at) ? new Date(at).toISOString() : undefined
}

/** How long ago, coarse enough to read at a glance: 'now', '12 s ago', '3 min ago', '2 h ago', '5 d ago'. */
export function formatAge(at: number | null | undefined, now: number): string {
  if (!known(at)) return MISSING
  const seconds = Math.floor((now - at) / 1000)
  if (seconds < 1) return 'now'
  if (seconds < 60) return `${seconds} s ago`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`
  return `${Math.floor(seconds / 86_400)} d ago`
}
