/** Virtual time: what is to happen, in order; what is due at one moment happens in the order in which it was put down. */
type Entry = { at: number; order: number; run: () => void }

/** `now`: Unix milliseconds. `heap`: a binary heap, the earliest first. */
export type Agenda = { now: number; made: number; heap: Entry[] }

export const createAgenda = (now: number): Agenda => ({ now, made: 0, heap: [] })

/** Has something happen at a time, in whole milliseconds, or now when that is past. */
export function at(agenda: Agenda, time: number, run: () => void): void {
  const { heap } = agenda
  const entry = { at: Math.max(Math.ceil(time), agenda.now), order: agenda.made++, run }
  let place = heap.length
  heap.push(entry)
  while (place > 0) {
    const parent = (place - 1) >> 1
    if (!isBefore(entry, heap[parent]!)) break
    heap[place] = heap[parent]!
    place = parent
  }
  heap[place] = entry
}

export const after = (agenda: Agenda, ms: number, run: () => void): void => at(agenda, agenda.now + ms, run)

/** Lets the next thing happen; false when there is none. */
export function advance(agenda: Agenda): boolean {
  const { heap } = agenda
  const [first] = heap
  if (!first) return false
  const last = heap.pop()!
  if (heap.length > 0) sink(heap, last)
  agenda.now = first.at
  first.run()
  return true
}

function sink(heap: Entry[], entry: Entry): void {
  let place = 0
  for (;;) {
    let child = place * 2 + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
    if (!isBefore(heap[child]!, entry)) break
    heap[place] = heap[child]!
    place = child
  }
  heap[place] = entry
}

const isBefore = (x: Entry, y: Entry): boolean => x.at < y.at || (x.at === y.at && x.order < y.order)
