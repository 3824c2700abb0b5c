/** The shape of the next day, from the same hours of the week before: for advice by the clock, where a band would say no more. */
import { DAY_BINS, type History, HOUR_BINS } from './history.ts'

const DAY_HOURS = DAY_BINS / HOUR_BINS

/**
 * The next 24 clock hours, each with its first bin and the mean of the same hour of the days that are known.
 * @returns null while less than a day is known
 */
export function dayAhead({ bin, hours }: History): { bin: number; mean: number }[] | null {
  if (hours.length <= DAY_HOURS) return null
  const latest = Math.floor(bin / HOUR_BINS)
  return Array.from({ length: DAY_HOURS }, (_, k) => {
    const same = []
    for (let at = hours.length + k - DAY_HOURS; at >= 0; at -= DAY_HOURS) same.push(hours[at]!)
    return { bin: (latest + 1 + k) * HOUR_BINS, mean: same.reduce((sum, value) => sum + value, 0) / same.length }
  })
}
