/** When the owner lets the machine work: parts of the week, by the machine's own clock. */

/** From a minute of the week on (Monday 0:00 is 0), for so many minutes. */
export type Span = { from: number; minutes: number }

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']
const DAY = 24 * 60
const WEEK = 7 * DAY
const FORM = /^(?:([a-z]{3})(?:-([a-z]{3}))?)?(?:(?:^|\s+)(\d{1,2}):(\d\d)-(\d{1,2}):(\d\d))?$/

/**
 * `mon-fri 18:00-08:00`, `sat-sun`, `22:00-07:00`: days, hours, or both; hours that end before they begin end on the next day.
 * Throws RangeError with what is wrong.
 */
export function parseSchedule(text: string): Span[] {
  const wrong = new RangeError(`--schedule ${text}: write days and hours, as in mon-fri 18:00-08:00`)
  const [whole, first, last = first, ...clock] = FORM.exec(text.trim().toLowerCase()) ?? []
  if (!whole) throw wrong
  const [fromDay, toDay] = first === undefined ? [0, 6] : [DAYS.indexOf(first), DAYS.indexOf(last!)]
  const [fromHour, fromMinute, toHour, toMinute] = clock[0] === undefined ? [0, 0, 24, 0] : clock.map(Number)
  const [start, end] = [fromHour! * 60 + fromMinute!, toHour! * 60 + toMinute!]
  const isTime = (minutes: number, part: number) => minutes <= DAY && part < 60
  if (fromDay < 0 || toDay < 0 || !isTime(start, fromMinute!) || !isTime(end, toMinute!) || start === end) throw wrong
  const days = ((toDay - fromDay + 7) % 7) + 1
  const minutes = end > start ? end - start : end - start + DAY
  return Array.from({ length: days }, (_, i) => ({ from: ((fromDay + i) % 7) * DAY + start, minutes }))
}

/** Without any span it is always within. */
export const isWithin = (schedule: Span[], date: Date): boolean =>
  schedule.length === 0 || schedule.some(({ from, minutes }) => sinceOf(from, date) < minutes)

/** When the next span begins, as in 'fri 18:00'. */
export function nextStart(schedule: Span[], date: Date): string {
  const [{ from }] = schedule.toSorted((a, b) => sinceOf(b.from, date) - sinceOf(a.from, date)) as [Span]
  const two = (value: number) => String(value).padStart(2, '0')
  const minute = from % DAY
  return `${DAYS[Math.floor(from / DAY) % 7]} ${two(Math.floor(minute / 60))}:${two(minute % 60)}`
}

/** Minutes since that minute of the week was last. */
function sinceOf(from: number, date: Date): number {
  const now = ((date.getDay() + 6) % 7) * DAY + date.getHours() * 60 + date.getMinutes()
  return (now - from + WEEK) % WEEK
}
