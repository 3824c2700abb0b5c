/**
 * What stands in a queue for tasks that were not read yet: at the place of the first of them, and with bounds that cover all, so that
 * a search comes upon it before any of them.
 */
import type { Matching, Want } from './matching.ts'
import { type Entry, inOrder, type Tree } from './ordered-index.ts'

/** `read` puts the tasks into the queue in its place. */
export type Unread = { tag: number; deadline: number; seq: number; read: () => void }

export const isUnread = (item: object): item is Unread => (item as Partial<Unread>).read !== undefined

/** The entry of what stands for these. Its number is no whole one, so that none of them has it. */
export function coverOf(wants: readonly Want[]): Entry {
  const cover = { key0: Number.POSITIVE_INFINITY, key1: Number.POSITIVE_INFINITY, key2: Number.POSITIVE_INFINITY }
  const entry: Entry = { ...cover, a: Number.NEGATIVE_INFINITY, b: Number.POSITIVE_INFINITY, mask: 0xffff }
  for (const { tag, deadline, seq, bid, minReputation } of wants) {
    if ((tag - entry.key0 || deadline - entry.key1 || seq - entry.key2) < 0) {
      Object.assign(entry, { key0: tag, key1: deadline, key2: seq - 0.5 })
    }
    entry.a = Math.max(entry.a, Number(bid))
    entry.b = Math.min(entry.b, minReputation)
  }
  return entry
}

/** The tasks of a queue in order, read as far as anybody looks. The queue must stay as it is meanwhile. */
export function waitingIn(matching: Matching, tree: Tree): Iterable<Want> {
  return matching.unread === 0 ? (inOrder(matching.open, tree) as Generator<Want>) : reading(matching, tree)
}

function* reading({ open }: Matching, tree: Tree): Generator<Want> {
  for (let told = 0; ; ) {
    let place = 0
    let unread: Unread | null = null
    for (const item of inOrder(open, tree)) {
      if (isUnread(item)) {
        unread = item
        break
      }
      if (place++ < told) continue
      told++
      yield item
    }
    if (unread === null) return
    // What it stands for comes after all that was told.
    unread.read()
  }
}
