/**
 * A book written down whole, so that the events before it can go. Plain data for structured clone: a head, and the open tasks
 * apart from it so that they can be stored in pieces.
 */
import { type Book, createBook, openTask } from './book.ts'
import type { Task } from './task.ts'

/** Increased when an older reader would misread what is written. */
export const SNAPSHOT_VERSION = 1

export type SnapshotHead = { version: number } & Pick<
  Book,
  'cell' | 'providers' | 'purses' | 'classes' | 'fairness' | 'lastTask' | 'lastGrant' | 'fees' | 'stats'
>

export type SnapshotTask = { task: Task; tag: number; deadline: number }

export function headOf(book: Book): SnapshotHead {
  const { cell, providers, purses, classes, fairness, lastTask, lastGrant, fees, stats } = book
  return { version: SNAPSHOT_VERSION, cell, providers, purses, classes, fairness, lastTask, lastGrant, fees, stats }
}

export function* tasksOf(book: Book): Generator<SnapshotTask> {
  for (const { task, want, deadline } of book.tasks.values()) yield { task, tag: want.tag, deadline }
}

/** Builds a book from what `headOf` and `tasksOf` gave. Nobody is connected to it yet. */
export function restore(head: SnapshotHead, tasks: Iterable<SnapshotTask>, now: number): Book {
  const { version, ...kept } = head
  if (version !== SNAPSHOT_VERSION) throw new Error(`snapshot version ${version} is not ${SNAPSHOT_VERSION}`)
  const book: Book = { ...createBook(head.cell), ...kept }
  for (const provider of book.providers.values()) {
    provider.reachable = false
    provider.supply.room = 0
  }
  for (const { task, tag, deadline } of tasks) openTask(book, task, tag, deadline, now)
  return book
}

/** About how many bytes a value takes when it is written down; never far too few. */
export function sizeOf(value: unknown): number {
  switch (typeof value) {
    case 'string':
      return value.length * 2 + 8
    case 'object': {
      if (value === null) return 1
      let size = 16
      if (Array.isArray(value)) for (const item of value) size += sizeOf(item)
      else for (const [key, item] of Object.entries(value)) size += key.length + 4 + sizeOf(item)
      return size
    }
    default:
      return 12
  }
}
