/** The last hour of the market, shaped for drawing. Pure; pixels come in as the plot's size. */
import type { Minute } from '#core/protocol/network.ts'

export const MINUTE_MS = 60_000
/** Pixels of the drawing beside the plot: its labels, and room for the last bar. */
export const INSET = { left: 48, right: 6 }

export type Point = { x: number; y: number }
export type Bar = { index: number; x: number; width: number; succeeded: Span; failed: Span }
export type Span = { y: number; height: number }

/** Sums over all minutes. */
export function totals(minutes: readonly Minute[]): { succeeded: number; failed: number } {
  return {
    succeeded: minutes.reduce((sum, { succeeded }) => sum + succeeded, 0),
    failed: minutes.reduce((sum, { failed }) => sum + failed, 0),
  }
}

export function highestCount(minutes: readonly Minute[]): number {
  return minutes.reduce((highest, { succeeded, failed }) => Math.max(highest, succeeded + failed), 0)
}

export function highestWait(minutes: readonly Minute[]): number {
  return minutes.reduce((highest, m) => Math.max(highest, m.waitP50Ms ?? 0, m.waitP95Ms ?? 0), 0)
}

/** Failures stand on successes. Counts above zero are at least one pixel high, so that a single failure is seen. */
export function bars(minutes: readonly Minute[], width: number, height: number, top: number): Bar[] {
  const slot = width / Math.max(1, minutes.length)
  const gap = Math.min(3, slot * 0.28)
  const tall = (count: number) => (count > 0 ? Math.max(1, (count / top) * height) : 0)
  return minutes.map(({ succeeded, failed }, index) => {
    const low = tall(succeeded)
    const high = tall(failed)
    return {
      index,
      x: index * slot + gap / 2,
      width: Math.max(1, slot - gap),
      succeeded: { y: height - low, height: low },
      failed: { y: height - low - high, height: high },
    }
  })
}

/** Runs of neighbouring minutes where the value is known; a minute without one breaks the line. */
export function runs(
  minutes: readonly Minute[],
  field: 'waitP50Ms' | 'waitP95Ms',
  width: number,
  height: number,
  top: number,
): Point[][] {
  const slot = width / Math.max(1, minutes.length)
  const found: Point[][] = []
  let open: Point[] | null = null
  minutes.forEach((minute, index) => {
    const value = minute[field]
    if (value === null) {
      open = null
      return
    }
    if (!open) {
      open = []
      found.push(open)
    }
    open.push({ x: (index + 0.5) * slot, y: height - (value / top) * height })
  })
  return found
}

/** SVG path data of a run's line. */
export function linePath(run: readonly Point[]): string {
  return run.map(({ x, y }, i) => `${i === 0 ? 'M' : 'L'}${round(x)} ${round(y)}`).join('')
}

/** SVG path data of the area between a run and the baseline. */
export function areaPath(run: readonly Point[], height: number): string {
  if (run.length < 2) return ''
  return `${linePath(run)}L${round(run.at(-1)!.x)} ${height}L${round(run[0]!.x)} ${height}Z`
}

/** Minutes to label on the time axis: whole multiples of a step that leaves `spacing` pixels for each. */
export function timeMarks(minutes: readonly Minute[], width: number, spacing = 76): { x: number; at: number }[] {
  const slot = width / Math.max(1, minutes.length)
  const step = [5, 10, 15, 20, 30, 60].find((s) => s * slot >= spacing) ?? 60
  return minutes.flatMap(({ at }, index) => ((at / MINUTE_MS) % step === 0 ? [{ x: (index + 0.5) * slot, at }] : []))
}

/** The minute drawn at `x` pixels of a drawing `width` wide; beside the plot, the nearest. */
export function minuteAt(minutes: readonly Minute[], x: number, width: number): Minute | undefined {
  const share = (x - INSET.left) / Math.max(1, width - INSET.left - INSET.right)
  return minutes[Math.min(minutes.length - 1, Math.max(0, Math.floor(share * minutes.length)))]
}

/** The latest minute in which a task was granted. */
export function lastWait(minutes: readonly Minute[]): Minute | null {
  return minutes.findLast(({ waitP50Ms, waitP95Ms }) => waitP50Ms !== null || waitP95Ms !== null) ?? null
}

const round = (value: number): number => Math.round(value * 100) / 100
