/** What the owner allows beside the work itself, and what of the machine stands against it now. No I/O and no clock. */
import { isWithin, nextStart, type Span } from './schedule.ts'

/** What is undefined is not limited. */
export type Limits = {
  /** Nobody may have touched the machine for so long. */
  idleMinutes: number | undefined
  /** Empty for always. */
  schedule: Span[]
  /** No processor or card may be warmer. */
  celsius: number | undefined
  /** No card may be allowed to draw more. */
  watts: number | undefined
}

/** What the machine's tools tell; undefined where none does, or where it was not asked. */
export type Reading = {
  /** How long nobody has touched keyboard or mouse. */
  untouchedMs?: number | undefined
  /** The warmest. */
  celsius?: number | undefined
  /** The most that a card is allowed to draw. */
  watts?: number | undefined
}

/** `isHot` until it has cooled down. */
export type Obstacle = { why: string; isHot?: true }

/** A card at its limit would otherwise start and stop all the time. */
const COOLER = 5

/** Why nothing may be done now, in words for the owner. @param before what stood against it at the last look */
export function obstacleOf(
  limits: Limits,
  { untouchedMs, celsius, watts }: Reading,
  date: Date,
  before: Obstacle | undefined,
): Obstacle | undefined {
  if (!isWithin(limits.schedule, date))
    return { why: `it is outside the hours of your schedule, which go on ${nextStart(limits.schedule, date)}` }
  if (limits.idleMinutes !== undefined) {
    if (untouchedMs === undefined)
      return { why: 'no tool here tells whether somebody uses this machine: install xprintidle, or take out idle' }
    if (untouchedMs < limits.idleMinutes * 60_000)
      return { why: `somebody uses this machine, which has to be left alone for ${limits.idleMinutes} min` }
  }
  if (limits.celsius !== undefined) {
    if (celsius === undefined) return { why: 'no tool here tells a temperature: take out temperature' }
    const most = limits.celsius - (before?.isHot ? COOLER : 0)
    if (celsius > most) return { why: `it is ${celsius} °C warm, and may be ${most} °C`, isHot: true }
  }
  if (limits.watts !== undefined) {
    if (watts === undefined) return { why: 'no tool here tells what a card may draw: take out power' }
    if (watts > limits.watts)
      return {
        why: `a card may draw ${watts} W, and ${limits.watts} W are allowed: set it as root, as by nvidia-smi -pl ${limits.watts}`,
      }
  }
  return undefined
}
