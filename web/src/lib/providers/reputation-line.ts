import type { Interval } from '#core/protocol/values.ts'
import type { ProviderHistory } from '#core/provider-history.ts'
import { hourNumber } from '#core/public-log.ts'

/** A reputation at a time; `wrong`: results that were refuted in the hour that ended then. */
export type Point = Interval & { at: number; wrong: number }

const HOUR_MS = 3_600_000

/** How it stood after each closed hour, and how it stands now. */
export function reputationLine(hours: ProviderHistory['hours'], reputation: Interval, now: number): Point[] {
  const past = hours.map(({ hour, wrong, reputation }) => ({
    ...reputation,
    at: (hourNumber(hour) + 1) * HOUR_MS,
    wrong,
  }))
  return [...past.filter(({ at }) => at < now), { ...reputation, at: now, wrong: 0 }]
}

/** SVG path data of the band between the bounds, and of the mean within it: x by time, y 0 at the top for 1. */
export function drawLine(points: readonly Point[], width: number, height: number): { band: string; mean: string } {
  const from = points[0]!.at
  const span = Math.max(1, points.at(-1)!.at - from)
  const place = (point: Point, value: number) =>
    `${((width * (point.at - from)) / span).toFixed(1)},${(height * (1 - value)).toFixed(1)}`
  const highs = points.map((point) => place(point, point.high))
  const lows = points.map((point) => place(point, point.low)).reverse()
  return {
    band: `M${[...highs, ...lows].join('L')}Z`,
    mean: `M${points.map((point) => place(point, point.mean)).join('L')}`,
  }
}
