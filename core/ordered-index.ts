/**
 * Many small ordered sets in one arena: B-trees whose slots also carry, for what is below them, the greatest `a`, the least `b`
 * and the union of `mask`. So the first item in order with a >= x, b <= y and a shared mask bit is found without looking at
 * what cannot fit: O(log n) where the bounds are independent of the order, as prices and reputations are.
 *
 * A search costs what it touches in memory, so the slots of a node lie side by side, field by field: a node is read in a few
 * runs that the processor fetches ahead, where a binary tree would wait for memory at every item. Rounding `a` and `b` to
 * floats keeps their order, so a search never passes over what fits; `accept` has the last word on what it finds.
 */
export type OrderedIndex<T> = {
  /** By handle; handle 0 stands for none. */
  items: (T | undefined)[]
  freeItems: number[]
  /** Of node n, slot s: key k at (3n + k) * WIDTH + s, a at 2n * WIDTH + s, b at (2n + 1) * WIDTH + s, the rest at n * WIDTH + s. */
  keys: Float64Array
  bounds: Float32Array
  masks: Uint16Array
  /** Below a node the nodes; in a leaf the handles of items. */
  below: Int32Array
  counts: Uint8Array
  freeNodes: number[]
  usedNodes: number
}

/** A set within an index: its root, 0 when empty, and how many levels there are above its leaves. */
export type Tree = { root: number; height: number }

export const emptyTree = (): Tree => ({ root: 0, height: 0 })

/** Ascending by key0, then key1, then key2, which must make keys unique within a tree. */
export type Order = { key0: number; key1: number; key2: number }
/** `mask` has 16 bits; with 0 no search finds the item. */
export type Entry = Order & { a: number; b: number; mask: number }

/** Slots to a node. */
const WIDTH = 16
const GROWTH = 1.125

export function createIndex<T>(): OrderedIndex<T> {
  // Node 0 stands for none.
  return { items: [undefined], freeItems: [], ...arrays(8), freeNodes: [], usedNodes: 1 }
}

function arrays(nodes: number) {
  return {
    keys: new Float64Array(nodes * WIDTH * 3),
    bounds: new Float32Array(nodes * WIDTH * 2),
    masks: new Uint16Array(nodes * WIDTH),
    below: new Int32Array(nodes * WIDTH),
    counts: new Uint8Array(nodes),
  }
}

/** Adds an item. @returns its handle in `items` */
export function insert<T>(index: OrderedIndex<T>, tree: Tree, item: T, entry: Entry): number {
  const handle = index.freeItems.pop() ?? index.items.length
  index.items[handle] = item
  if (tree.root === 0) tree.root = newNode(index)
  const sibling = insertBelow(index, tree.root, tree.height, entry, handle)
  if (sibling !== 0) {
    const root = newNode(index)
    index.counts[root] = 2
    summarise(index, root, 0, tree.root)
    summarise(index, root, 1, sibling)
    tree.root = root
    tree.height++
  }
  return handle
}

/** Takes out the item at this place in the order. Throws when there is none. */
export function remove<T>(index: OrderedIndex<T>, tree: Tree, order: Order): void {
  const handle = removeBelow(index, tree.root, tree.height, order)
  index.items[handle] = undefined
  index.freeItems.push(handle)
  while (tree.height > 0 && index.counts[tree.root] === 1) {
    const root = index.below[tree.root * WIDTH]!
    freeNode(index, tree.root)
    tree.root = root
    tree.height--
  }
  if (index.counts[tree.root] === 0) {
    freeNode(index, tree.root)
    tree.root = 0
  }
}

/** Changes the mask of the item at this place in the order. */
export function setMask<T>(index: OrderedIndex<T>, tree: Tree, order: Order, mask: number): void {
  setMaskBelow(index, tree.root, tree.height, order, mask)
}

/**
 * The handle of the first item in order with a >= minA, b <= maxB, a bit of `mask`, and `accept(item)`; 0 when there is none,
 * or none whose first key is at most `limit`.
 */
export function first<T>(
  index: OrderedIndex<T>,
  { root, height }: Tree,
  minA: number,
  maxB: number,
  mask: number,
  accept: (item: T) => boolean,
  limit = Number.POSITIVE_INFINITY,
): number {
  if (root === 0) return 0
  return firstBelow(index, root, height, Math.fround(minA), Math.fround(maxB), mask, accept, limit)
}

function firstBelow<T>(
  index: OrderedIndex<T>,
  node: number,
  level: number,
  minA: number,
  maxB: number,
  mask: number,
  accept: (item: T) => boolean,
  limit: number,
): number {
  const { keys, bounds, masks, below } = index
  const count = index.counts[node]!
  const at = node * WIDTH
  for (let slot = 0; slot < count; slot++) {
    if (keys[at * 3 + slot]! > limit) return 0
    const fits =
      bounds[at * 2 + slot]! >= minA && bounds[at * 2 + WIDTH + slot]! <= maxB && (masks[at + slot]! & mask) !== 0
    if (!fits) continue
    const next = below[at + slot]!
    if (level > 0) {
      const found = firstBelow(index, next, level - 1, minA, maxB, mask, accept, limit)
      if (found !== 0) return found
    } else if (accept(index.items[next]!)) return next
  }
  return 0
}

/** The items of a tree in order, which must stay as it is meanwhile. */
export function* inOrder<T>(index: OrderedIndex<T>, { root, height }: Tree): Generator<T> {
  if (root === 0) return
  // The nodes on the way down to the next item, and the slot in each that comes next.
  const nodes = [root]
  const slots = [0]
  for (let level = 0; level >= 0; ) {
    const node = nodes[level]!
    const slot = slots[level]!++
    if (slot === index.counts[node]!) {
      level--
      continue
    }
    const next = index.below[node * WIDTH + slot]!
    if (level === height) yield index.items[next]!
    else {
      level++
      nodes[level] = next
      slots[level] = 0
    }
  }
}

/** The least first key; null in an empty tree. */
export const leastKey = <T>({ keys }: OrderedIndex<T>, { root }: Tree): number | null =>
  root === 0 ? null : keys[root * WIDTH * 3]!

/** @returns the node that had to be split off to make room, 0 when there was room */
function insertBelow<T>(index: OrderedIndex<T>, node: number, level: number, entry: Entry, handle: number): number {
  const after = slotsUpTo(index, node, entry)
  if (level === 0) {
    const place = openSlot(index, node, after)
    write(index, place.node, place.slot, entry, handle)
    return place.sibling
  }
  const slot = Math.max(0, after - 1)
  const child = index.below[node * WIDTH + slot]!
  const split = insertBelow(index, child, level - 1, entry, handle)
  if (split === 0) {
    cover(index, node, slot, entry, after === 0)
    return 0
  }
  summarise(index, node, slot, child)
  const place = openSlot(index, node, slot + 1)
  summarise(index, place.node, place.slot, split)
  return place.sibling
}

/** @returns the handle of what was removed */
function removeBelow<T>(index: OrderedIndex<T>, node: number, level: number, order: Order): number {
  const slot = slotsUpTo(index, node, order) - 1
  if (slot < 0) throw new Error('ordered index: nothing is at this place')
  const next = index.below[node * WIDTH + slot]!
  if (level === 0) {
    if (compare(index, node, slot, order) !== 0) throw new Error('ordered index: nothing is at this place')
    closeSlot(index, node, slot)
    return next
  }
  const handle = removeBelow(index, next, level - 1, order)
  if (index.counts[next] === 0) {
    freeNode(index, next)
    closeSlot(index, node, slot)
  } else {
    summarise(index, node, slot, next)
    join(index, node, slot + 1 < index.counts[node]! ? slot : slot - 1)
  }
  return handle
}

function setMaskBelow<T>(index: OrderedIndex<T>, node: number, level: number, order: Order, mask: number): void {
  const slot = slotsUpTo(index, node, order) - 1
  if (level === 0) {
    index.masks[node * WIDTH + slot] = mask
    return
  }
  const child = index.below[node * WIDTH + slot]!
  setMaskBelow(index, child, level - 1, order, mask)
  summarise(index, node, slot, child)
}

/** How many slots of a node come no later than this; the last of them is where it is, or belongs. */
function slotsUpTo<T>(index: OrderedIndex<T>, node: number, order: Order): number {
  let low = 0
  let high = index.counts[node]!
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compare(index, node, middle, order) <= 0) low = middle + 1
    else high = middle
  }
  return low
}

function compare<T>({ keys }: OrderedIndex<T>, node: number, slot: number, { key0, key1, key2 }: Order): number {
  const at = node * WIDTH * 3 + slot
  const by0 = keys[at]! - key0
  if (by0 !== 0) return by0
  const by1 = keys[at + WIDTH]! - key1
  return by1 !== 0 ? by1 : keys[at + WIDTH * 2]! - key2
}

/** Makes room for a slot; a full node is split, and `sibling` is the later part. One that grows at its end stays full. */
function openSlot<T>(
  index: OrderedIndex<T>,
  node: number,
  slot: number,
): { node: number; slot: number; sibling: number } {
  const count = index.counts[node]!
  if (count < WIDTH) {
    for (let s = count; s > slot; s--) copySlot(index, node, s - 1, node, s)
    index.counts[node] = count + 1
    return { node, slot, sibling: 0 }
  }
  const sibling = newNode(index)
  const half = slot === WIDTH ? WIDTH : WIDTH / 2
  for (let s = half; s < WIDTH; s++) copySlot(index, node, s, sibling, s - half)
  index.counts[node] = half
  index.counts[sibling] = WIDTH - half
  const isLater = slot > half || half === WIDTH
  return { ...openSlot(index, isLater ? sibling : node, isLater ? slot - half : slot), sibling }
}

function closeSlot<T>(index: OrderedIndex<T>, node: number, slot: number): void {
  const count = --index.counts[node]!
  for (let s = slot; s < count; s++) copySlot(index, node, s + 1, node, s)
}

/** Puts the children of two neighbouring slots into one when together they fill no more than half of it. */
function join<T>(index: OrderedIndex<T>, node: number, slot: number): void {
  if (slot < 0) return
  const left = index.below[node * WIDTH + slot]!
  const right = index.below[node * WIDTH + slot + 1]!
  const [inLeft, inRight] = [index.counts[left]!, index.counts[right]!]
  if (inLeft + inRight > WIDTH / 2) return
  for (let s = 0; s < inRight; s++) copySlot(index, right, s, left, inLeft + s)
  index.counts[left] = inLeft + inRight
  freeNode(index, right)
  closeSlot(index, node, slot + 1)
  summarise(index, node, slot, left)
}

function copySlot<T>({ keys, bounds, masks, below }: OrderedIndex<T>, from: number, s: number, to: number, t: number) {
  const source = from * WIDTH
  const target = to * WIDTH
  keys[target * 3 + t] = keys[source * 3 + s]!
  keys[target * 3 + WIDTH + t] = keys[source * 3 + WIDTH + s]!
  keys[target * 3 + WIDTH * 2 + t] = keys[source * 3 + WIDTH * 2 + s]!
  bounds[target * 2 + t] = bounds[source * 2 + s]!
  bounds[target * 2 + WIDTH + t] = bounds[source * 2 + WIDTH + s]!
  masks[target + t] = masks[source + s]!
  below[target + t] = below[source + s]!
}

function write<T>(
  { keys, bounds, masks, below }: OrderedIndex<T>,
  node: number,
  slot: number,
  entry: Entry,
  to: number,
) {
  const at = node * WIDTH
  keys[at * 3 + slot] = entry.key0
  keys[at * 3 + WIDTH + slot] = entry.key1
  keys[at * 3 + WIDTH * 2 + slot] = entry.key2
  bounds[at * 2 + slot] = entry.a
  bounds[at * 2 + WIDTH + slot] = entry.b
  masks[at + slot] = entry.mask
  below[at + slot] = to
}

/** Takes an entry that was added below a slot into what the slot says. */
function cover<T>(
  { keys, bounds, masks }: OrderedIndex<T>,
  node: number,
  slot: number,
  entry: Entry,
  isFirst: boolean,
) {
  const at = node * WIDTH
  if (isFirst) {
    keys[at * 3 + slot] = entry.key0
    keys[at * 3 + WIDTH + slot] = entry.key1
    keys[at * 3 + WIDTH * 2 + slot] = entry.key2
  }
  bounds[at * 2 + slot] = Math.max(bounds[at * 2 + slot]!, entry.a)
  bounds[at * 2 + WIDTH + slot] = Math.min(bounds[at * 2 + WIDTH + slot]!, entry.b)
  masks[at + slot]! |= entry.mask
}

/** Has a slot say what is in a node, and lead to it. */
function summarise<T>(index: OrderedIndex<T>, node: number, slot: number, child: number): void {
  const { bounds, masks, counts } = index
  const from = child * WIDTH
  let a = Number.NEGATIVE_INFINITY
  let b = Number.POSITIVE_INFINITY
  let mask = 0
  for (let s = 0; s < counts[child]!; s++) {
    a = Math.max(a, bounds[from * 2 + s]!)
    b = Math.min(b, bounds[from * 2 + WIDTH + s]!)
    mask |= masks[from + s]!
  }
  copySlot(index, child, 0, node, slot)
  const at = node * WIDTH
  bounds[at * 2 + slot] = a
  bounds[at * 2 + WIDTH + slot] = b
  masks[at + slot] = mask
  index.below[at + slot] = child
}

function newNode<T>(index: OrderedIndex<T>): number {
  const node = index.freeNodes.pop() ?? index.usedNodes++
  if (node >= index.counts.length) grow(index)
  index.counts[node] = 0
  return node
}

function freeNode<T>(index: OrderedIndex<T>, node: number): void {
  index.freeNodes.push(node)
}

function grow<T>(index: OrderedIndex<T>): void {
  const larger = arrays(Math.ceil(index.counts.length * GROWTH))
  larger.keys.set(index.keys)
  larger.bounds.set(index.bounds)
  larger.masks.set(index.masks)
  larger.below.set(index.below)
  larger.counts.set(index.counts)
  Object.assign(index, larger)
}
