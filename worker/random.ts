/** What nobody can foresee. */
import { makeTaskId, roomPart } from '#core/task-id.ts'

/** Evenly in 0..1. */
export const drawLot = (): number => crypto.getRandomValues(new Uint32Array(1))[0]! / 2 ** 32

/** @param open how many tasks the cell has open */
export function newTaskId(cell: string, createdAt: number, open: number): string {
  const [first, last, lot] = crypto.getRandomValues(new Uint32Array(3))
  const random = [first!, last!].map((half) => (half % 36 ** 4).toString(36).padStart(4, '0')).join('')
  return makeTaskId(cell, createdAt, random + roomPart(open, lot! / 2 ** 32))
}
