/** Round steps for axes. Pure. */
const COUNT_STEPS = [1, 2, 2.5, 4, 5, 10]
const DURATION_STEPS_MS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000,
  1_800_000, 3_600_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000,
]

/** Ticks from 0 to at or above `highest`, about `wanted` steps apart, for whole counts. */
export function countTicks(highest: number, wanted = 3): number[] {
  const rough = Math.max(1, highest / wanted)
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = COUNT_STEPS.map((s) => s * power).find((s) => s >= rough && Number.isInteger(s)) ?? rough
  return ladder(step, highest)
}

/** The same for milliseconds, in steps that read well as durations. */
export function durationTicks(highest: number, wanted = 2): number[] {
  const rough = Math.max(1, highest) / wanted
  const day = DURATION_STEPS_MS.at(-1)!
  const step = DURATION_STEPS_MS.find((s) => s >= rough) ?? Math.ceil(rough / day) * day
  return ladder(step, highest)
}

function ladder(step: number, highest: number): number[] {
  const count = Math.max(1, Math.ceil(highest / step))
  return Array.from({ length: count + 1 }, (_, i) => i * step)
}
