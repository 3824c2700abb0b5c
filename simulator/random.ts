/** Seeded randomness: one stream for each concern, so that what one of them draws does not move the others. */

/** A number in 0..1. */
export type Random = () => number

/** A stream of its own for each seed and name: sfc32 (Doty-Humphrey), whose period of 2^64 at least outlasts the longest run. */
export function randomOf(seed: number, name: string): Random {
  let a = seed | 0
  let b = Math.floor(seed / 2 ** 32) | 0
  let c = 0
  for (let i = 0; i < name.length; i++) c = Math.imul(c ^ name.charCodeAt(i), 0x01000193)
  let counter = 1
  const next = () => {
    const t = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + t) | 0
    return (t >>> 0) / 2 ** 32
  }
  for (let warm = 0; warm < 15; warm++) next()
  return next
}

export const between = (random: Random, least: number, most: number): number => least + random() * (most - least)
export const whole = (random: Random, below: number): number => Math.floor(random() * below)
export const oneOf = <T>(random: Random, values: readonly T[]): T => values[whole(random, values.length)]!
export const chance = (random: Random, share: number): boolean => random() < share

/** Exponential, as the times between independent events are. */
export const exponential = (random: Random, mean: number): number => -mean * Math.log(1 - random())

/** Log-normal around its median, as sizes and speeds are; `spread` is the standard deviation of the logarithm. */
export function lognormal(random: Random, median: number, spread: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  return median * Math.exp(spread * normal)
}
