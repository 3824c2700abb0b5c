/**
 * Pages: tasks that wait, written down many together and left there until one of them is asked for, so that a market with a long queue
 * is back at once after it was away. In the indexes something stands for the tasks of a page that was not read, where the first of
 * them would be, so whoever looks for a task reads its page before; what comes of it never depends on which pages are read.
 */
import { type Book, type OpenTask, openTask } from './book.ts'
import { dequeue, enqueue } from './matching.ts'
import { occupy } from './occupancy.ts'
import { type Entry, insert, remove } from './ordered-index.ts'
import type { Address, Region } from './protocol/values.ts'
import type { Kind } from './protocol/work.ts'
import { bytesOf, newTask, type TaskSpec } from './task.ts'
import { coverOf } from './unread.ts'
import { middleOf, riskAt } from './urgency.ts'

/** What is written of a task that waits as it was submitted. */
export type PageTask = { spec: TaskSpec; tag: number }

/** What is kept of a page beside its tasks, so that it can stand for them. Plain data. */
export type PageEntry = {
  number: number
  /** Places on it of tasks that no longer wait as they were written. */
  gone: number[]
  /** When the first and the last of the others were submitted. */
  from: number
  until: number
  groups: Group[]
  requesters: { requester: Address; tasks: number; bytes: number }[]
}

/** Tasks of one class and region: what stands for them in their queue, and the least of their deadlines and of half their times. */
type Group = {
  kind: Kind
  model: string
  region: Region | null
  tasks: number
  entry: Entry
  middle: number
  deadline: number
}

/** `tasks`: by place, once it was read; null for one that is gone. `changed`: the entry is not up to date. */
export type Page = { entry: PageEntry; tasks: (OpenTask | null)[] | null; changed: boolean; read: () => void }

/** A page is some hundred kilobytes: read in a moment, and few rows. */
const PAGE_TASKS = 250
const PAGE_BYTES = 512 * 1024
/** A page of which no more is left is given up, and what is left written again. */
const LEAST_LEFT = 0.25

/** Has a page stand for its tasks, as of a book that is read back. `load` gives what was written on it. */
export function addPage(book: Book, entry: PageEntry, load: () => PageTask[], now: number): void {
  const { matching, due, dueTree, occupancy } = book
  const page: Page = { entry, tasks: null, changed: false, read }
  const { number, groups, requesters } = entry
  const order = { key0: dueOf(book, entry, now), key1: -1, key2: number }
  book.pages.set(number, page)
  book.unread.add(page)
  insert(due, dueTree, page, { ...order, a: 0, b: 0, mask: 1 })
  for (const group of groups) {
    const { key0: tag, key1: deadline, key2: seq } = group.entry
    enqueue(matching, matching.queues, group, group.entry, { tag, deadline, seq, read })
    matching.queued += group.tasks
    matching.unread++
  }
  for (const { requester, tasks, bytes } of requesters) occupy(occupancy, requester, tasks, bytes)

  function read(): void {
    const gone = new Set(entry.gone)
    page.tasks = load().map(({ spec, tag }, place) => {
      if (gone.has(place)) return null
      const open = openTask(book, newTask(spec), { tag }, spec.deadline, now)
      open.page = page
      return open
    })
    book.unread.delete(page)
    remove(due, dueTree, order)
    for (const group of groups) {
      dequeue(matching, matching.queues, group, group.entry)
      matching.queued -= group.tasks
      matching.unread--
    }
    for (const { requester, tasks, bytes } of requesters) occupy(occupancy, requester, -tasks, -bytes)
  }
}

/** No later than any of its tasks is due: when it is looked at whether they are at risk, or their deadlines. */
function dueOf(book: Book, { groups }: PageEntry, now: number): number {
  const times = groups.map(({ middle, deadline, ...of }) =>
    Math.min(deadline, now < middle ? middle : riskAt(book, of, middle, deadline)),
  )
  return Math.min(...times)
}

/**
 * Puts the tasks that wait as they were submitted on pages, as far as they fill any, and brings the entries up to date; to be
 * written down together with `headOf` and `partsOf`.
 * @returns the pages to write, and the numbers of those that are no more
 */
export function turnPages(
  book: Book,
  most = PAGE_TASKS,
): { written: { number: number; tasks: PageTask[] }[]; dropped: number[] } {
  const dropped: number[] = []
  let last = 0
  for (const page of book.pages.values()) {
    const { number } = page.entry
    last = Math.max(last, number)
    if (!page.changed) continue
    const places = page.tasks!.map((open) => (open?.page === page ? open : null))
    const left = places.filter((open) => open !== null)
    if (left.length > places.length * LEAST_LEFT) {
      Object.assign(page, { tasks: places, changed: false, entry: entryOf(number, places) })
      continue
    }
    for (const open of left) open.page = null
    book.pages.delete(number)
    dropped.push(number)
  }
  const written = fullPages(book, most).map((tasks) => {
    const number = ++last
    const page: Page = { entry: entryOf(number, tasks), tasks, changed: false, read: () => {} }
    book.pages.set(number, page)
    for (const open of tasks) open.page = page
    return { number, tasks: tasks.map(({ task, want }) => ({ spec: task.spec, tag: want.tag })) }
  })
  return { written, dropped }
}

function fullPages(book: Book, most: number): OpenTask[][] {
  const loose = [...book.tasks.values()].filter(
    ({ task, turn, page }) =>
      page === null && turn === undefined && task.state.is === 'queued' && task.attempts.length === 0,
  )
  loose.sort((x, y) => x.task.spec.seq - y.task.spec.seq)
  const pages: OpenTask[][] = []
  let tasks: OpenTask[] = []
  let bytes = 0
  for (const open of loose) {
    tasks.push(open)
    bytes += open.task.spec.bytes
    if (tasks.length < most && bytes < PAGE_BYTES) continue
    pages.push(tasks)
    tasks = []
    bytes = 0
  }
  return pages
}

function entryOf(number: number, places: (OpenTask | null)[]): PageEntry {
  const left = places.filter((open) => open !== null)
  const times = left.map(({ task }) => task.spec.createdAt)
  const groups = Map.groupBy(left, ({ want }) => `${want.region} ${want.kind} ${want.model}`)
  const requesters = Map.groupBy(left, ({ want }) => want.requester)
  return {
    number,
    gone: places.flatMap((open, place) => (open === null ? [place] : [])),
    from: Math.min(...times),
    until: Math.max(...times),
    groups: [...groups.values()].map((group) => {
      const { kind, model, region } = group[0]!.want
      const specs = group.map(({ task }) => task.spec)
      const entry = coverOf(group.map(({ want }) => want))
      const middle = Math.min(...specs.map(middleOf))
      const deadline = Math.min(...specs.map((spec) => spec.deadline))
      return { kind, model, region, tasks: group.length, entry, middle, deadline }
    }),
    requesters: [...requesters].map(([requester, own]) => {
      const bytes = own.reduce((sum, { task }) => sum + bytesOf(task), 0)
      return { requester, tasks: own.length, bytes }
    }),
  }
}
