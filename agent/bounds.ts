/** Looks now and then whether the machine is within what its owner allows. */
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { askTool } from './devices/devices.ts'
import { capCards, readGauges } from './devices/gauges.ts'
import { type Limits, type Obstacle, obstacleOf, type Reading } from './limits.ts'
import { pause } from './timing.ts'

export type Gauges = {
  read: (limits: Limits) => Promise<Reading>
  /** Tries to let no card draw more. */
  cap: (watts: number) => Promise<void>
  now: () => Date
  everyMs: number
  /** How long what runs may go on once it is no longer allowed. */
  graceMs: number
}

export const GAUGES: Gauges = {
  read: (limits) => readGauges(limits, askTool, Date.now()),
  cap: (watts) => capCards(watts, askTool),
  now: () => new Date(),
  everyMs: 5000,
  graceMs: 60_000,
}

export type Bounds = {
  /** Why nothing may be done now. */
  obstacle: () => string | undefined
  /** Takes on other limits. */
  apply: (limits: Limits) => void
  end: () => Promise<void>
}

/**
 * Resolves when the first look is done.
 * @param onChange what is allowed has changed
 * @param onLate what was not allowed any more has had its time
 */
export async function keepWithin(
  first: Limits,
  gauges: Gauges,
  onChange: (why: string | undefined) => void,
  onLate: () => void,
): Promise<Bounds> {
  let limits = first
  let obstacle: Obstacle | undefined
  let capped: number | undefined
  let looking = new AbortController()
  let grace = new AbortController()
  const ending = new AbortController()

  async function look() {
    const { watts } = limits
    let reading = await gauges.read(limits)
    if (watts !== undefined && (reading.watts ?? 0) > watts && capped !== watts) {
      capped = watts
      await gauges.cap(watts)
      reading = await gauges.read(limits)
    }
    const before = obstacle
    obstacle = obstacleOf(limits, reading, gauges.now(), before)
    if (!before !== !obstacle) turn()
    if (before?.why !== obstacle?.why) onChange(obstacle?.why)
  }

  /** What runs is given back when its time is over and it is still not allowed. */
  function turn() {
    grace.abort()
    grace = new AbortController()
    const { signal } = grace
    if (obstacle) void setTimeout(gauges.graceMs, undefined, { signal }).then(onLate, () => {})
  }

  async function keep() {
    while (!ending.signal.aborted) {
      looking = new AbortController()
      const signal = AbortSignal.any([ending.signal, looking.signal])
      if (isLimited(limits)) await pause(gauges.everyMs, signal)
      else await aborted(signal)
      if (!ending.signal.aborted) await look()
    }
  }

  await look()
  const keeping = keep()
  return {
    obstacle: () => obstacle?.why,
    apply(next) {
      limits = next
      looking.abort()
    },
    async end() {
      ending.abort()
      grace.abort()
      await keeping
    },
  }
}

const isLimited = ({ idleMinutes, schedule, celsius, watts }: Limits): boolean =>
  schedule.length > 0 || [idleMinutes, celsius, watts].some((limit) => limit !== undefined)

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
}
