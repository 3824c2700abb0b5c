/** What nobody can foresee. */
import { makeTaskId } from '#core/task-id.ts'

/** Evenly in 0..1. */
export const drawLot = (): number => crypto.getRandomValues(new Uint32Array(1))[0]! / 2 ** 32

export function newTaskId(cell: string, createdAt: number): string {
  const halves = crypto.getRandomValues(new Uint32Array(2))
  const [first, last] = Array.from(halves, (half) => (half % 36 ** 5).toString(36).padStart(5, '0'))
  return makeTaskId(cell, createdAt, first! + last!)
}
