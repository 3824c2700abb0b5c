/** What a market has measured of the tasks of each class that succeeded. Sums in which later tasks weigh more; part of its snapshot. */
import { ranFrom } from './attempts.ts'
import { classOf } from './matching.ts'
import type { Task } from './task.ts'

/** Weighted sums: tasks, milliseconds from their grant to their end, units paid for, and the most units they could have come to. */
export type Measured = { tasks: number; runMs: number; units: number; maxUnits: number }

/** What is left of a task's weight at each further one: about the last hundred count. */
const KEPT = 0.99

export function measure(measured: Map<string, Measured>, task: Task): void {
  const { spec, state, deliveries = [] } = task
  // One that was verified waited for others, and was paid for more than once.
  if (state.is !== 'succeeded' || deliveries.length > 1) return
  const key = classOf(spec)
  const { tasks, runMs, units, maxUnits } = measured.get(key) ?? { tasks: 0, runMs: 0, units: 0, maxUnits: 0 }
  measured.set(key, {
    tasks: tasks * KEPT + 1,
    runMs: runMs * KEPT + state.at - ranFrom(task, state.attempt, state.at),
    units: units * KEPT + state.units,
    maxUnits: maxUnits * KEPT + spec.maxUnits,
  })
}

/** The mean time that a task of this class runs, or null before any has ended. */
export const meanRunMs = (measured: Measured | undefined): number | null =>
  measured ? measured.runMs / measured.tasks : null
