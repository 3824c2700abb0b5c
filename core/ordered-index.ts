/**
 * Many small ordered sets in one arena: treaps whose nodes also carry, for their subtree, the greatest `a`, the least `b` and
 * the union of `mask`. So the first item in order with a >= x, b <= y and a shared mask bit is found without looking at what
 * cannot fit: O(log n) where the bounds are independent of the order, as prices and reputations are.
 *
 * A node is one run of 64 bytes, a line of the processor's cache, because a walk down a large tree costs what it touches in
 * memory: three doubles, then four floats and four integers seen through other views of the same buffer. Rounding `a` and `b` to
 * floats keeps their order, so a search never passes over what fits; `accept` has the last word on what it finds.
 */
export type OrderedIndex<T> = {
  items: (T | undefined)[]
  keys: Float64Array
  floats: Float32Array
  integers: Int32Array
  free: number[]
  used: number
  random: number
  /** Where `split` leaves its two halves: returning a pair would allocate on every insert. */
  low: number
  high: number
}

/** A set within an index: the node at its root, 0 when empty, and its least first key. */
export type Tree = { root: number; least: number }

export const emptyTree = (): Tree => ({ root: 0, least: Number.POSITIVE_INFINITY })

/** Order: key0, then key1, then key2, ascending; key2 must make keys unique within a tree. `mask` has 16 bits. */
export type Entry = { key0: number; key1: number; key2: number; a: number; b: number; mask: number }

/** Doubles to a node; the other views have two elements to a double. */
const SIZE = 8
const KEY0 = 0
const KEY1 = 1
const KEY2 = 2
const A = 6
const B = 7
const MAX_A = 8
const MIN_B = 9
const LEFT = 10
const RIGHT = 11
const PRIORITY = 12
/** The node's own mask in the upper half, its subtree's union in the lower. */
const MASKS = 13
const LOWER = 0xffff

const GROWTH = 1.25

export function createIndex<T>(): OrderedIndex<T> {
  const index: OrderedIndex<T> = {
    items: [undefined],
    ...views(new Float64Array(64 * SIZE)),
    free: [],
    used: 1,
    random: 0x9e3779b9,
    low: 0,
    high: 0,
  }
  // Node 0 stands for empty: it never changes an aggregate.
  index.floats[MAX_A] = Number.NEGATIVE_INFINITY
  index.floats[MIN_B] = Number.POSITIVE_INFINITY
  return index
}

function views(keys: Float64Array<ArrayBuffer>) {
  return { keys, floats: new Float32Array(keys.buffer), integers: new Int32Array(keys.buffer) }
}

/** Adds an item; returns its node, by which it is removed. */
export function insert<T>(index: OrderedIndex<T>, tree: Tree, item: T, entry: Entry): number {
  const node = index.free.pop() ?? index.used++
  if ((node + 1) * SIZE > index.keys.length) grow(index)
  index.items[node] = item
  const { keys, floats, integers } = index
  const at = node * SIZE
  keys[at + KEY0] = entry.key0
  keys[at + KEY1] = entry.key1
  keys[at + KEY2] = entry.key2
  floats[at * 2 + A] = entry.a
  floats[at * 2 + B] = entry.b
  integers[at * 2 + LEFT] = 0
  integers[at * 2 + RIGHT] = 0
  integers[at * 2 + PRIORITY] = nextPriority(index)
  integers[at * 2 + MASKS] = entry.mask << 16
  refresh(index, node)
  tree.root = insertInto(index, tree.root, node)
  if (entry.key0 < tree.least) tree.least = entry.key0
  return node
}

export function remove<T>(index: OrderedIndex<T>, tree: Tree, node: number): void {
  tree.root = removeFrom(index, tree.root, node)
  if (firstKey(index, node) === tree.least) tree.least = leastKey(index, tree.root)
  index.items[node] = undefined
  index.free.push(node)
}

/** Changes a node's mask where it stands; with 0 no search finds it. */
export function setMask<T>(index: OrderedIndex<T>, tree: Tree, node: number, mask: number): void {
  index.integers[node * SIZE * 2 + MASKS] = mask << 16
  refreshPath(index, tree.root, node)
}

/**
 * The first node in order with a >= minA, b <= maxB, a bit of `mask`, and `accept(item, node)`; 0 when there is none, or none
 * whose first key is at most `limit`.
 */
export function first<T>(
  index: OrderedIndex<T>,
  root: number,
  minA: number,
  maxB: number,
  mask: number,
  accept: (item: T, node: number) => boolean,
  limit = Number.POSITIVE_INFINITY,
): number {
  return firstIn(index, root, Math.fround(minA), Math.fround(maxB), mask, accept, limit)
}

function firstIn<T>(
  index: OrderedIndex<T>,
  root: number,
  minA: number,
  maxB: number,
  mask: number,
  accept: (item: T, node: number) => boolean,
  limit: number,
): number {
  const { keys, floats, integers } = index
  let node = root
  while (node !== 0) {
    const at = node * SIZE * 2
    const masks = integers[at + MASKS]!
    if (!(floats[at + MAX_A]! >= minA && floats[at + MIN_B]! <= maxB && (masks & mask) !== 0)) return 0
    const left = integers[at + LEFT]!
    if (left !== 0) {
      const found = firstIn(index, left, minA, maxB, mask, accept, limit)
      if (found !== 0) return found
    }
    if (keys[node * SIZE + KEY0]! > limit) return 0
    const fits = floats[at + A]! >= minA && floats[at + B]! <= maxB && ((masks >>> 16) & mask) !== 0
    if (fits && accept(index.items[node]!, node)) return node
    node = integers[at + RIGHT]!
  }
  return 0
}

/** The items of a tree in order, which must stay as it is meanwhile. */
export function* inOrder<T>({ items, integers }: OrderedIndex<T>, root: number): Generator<T> {
  const above: number[] = []
  for (let node = root; node !== 0 || above.length > 0; ) {
    if (node !== 0) {
      above.push(node)
      node = integers[node * SIZE * 2 + LEFT]!
      continue
    }
    const next = above.pop()!
    yield items[next]!
    node = integers[next * SIZE * 2 + RIGHT]!
  }
}

/** The node's first key. */
export const firstKey = <T>(index: OrderedIndex<T>, node: number): number => index.keys[node * SIZE + KEY0]!

function leastKey<T>(index: OrderedIndex<T>, root: number): number {
  if (root === 0) return Number.POSITIVE_INFINITY
  let node = root
  for (let left = node; left !== 0; left = index.integers[node * SIZE * 2 + LEFT]!) node = left
  return firstKey(index, node)
}

/** True when x comes before y. */
export function before<T>({ keys }: OrderedIndex<T>, x: number, y: number): boolean {
  const i = x * SIZE
  const j = y * SIZE
  const by0 = keys[i + KEY0]! - keys[j + KEY0]!
  if (by0 !== 0) return by0 < 0
  const by1 = keys[i + KEY1]! - keys[j + KEY1]!
  if (by1 !== 0) return by1 < 0
  return keys[i + KEY2]! < keys[j + KEY2]!
}

function insertInto<T>(index: OrderedIndex<T>, root: number, node: number): number {
  if (root === 0) return node
  const { integers } = index
  const at = root * SIZE * 2
  if (integers[node * SIZE * 2 + PRIORITY]! > integers[at + PRIORITY]!) {
    split(index, root, node)
    integers[node * SIZE * 2 + LEFT] = index.low
    integers[node * SIZE * 2 + RIGHT] = index.high
    refresh(index, node)
    return node
  }
  const side = before(index, node, root) ? LEFT : RIGHT
  integers[at + side] = insertInto(index, integers[at + side]!, node)
  refresh(index, root)
  return root
}

/** Parts a subtree at `pivot`: what comes before it into `index.low`, the rest into `index.high`. */
function split<T>(index: OrderedIndex<T>, root: number, pivot: number): void {
  if (root === 0) {
    index.low = 0
    index.high = 0
    return
  }
  const { integers } = index
  const at = root * SIZE * 2
  if (before(index, root, pivot)) {
    split(index, integers[at + RIGHT]!, pivot)
    integers[at + RIGHT] = index.low
    refresh(index, root)
    index.low = root
  } else {
    split(index, integers[at + LEFT]!, pivot)
    integers[at + LEFT] = index.high
    refresh(index, root)
    index.high = root
  }
}

/** Joins two subtrees, all of `low` before all of `high`. */
function merge<T>(index: OrderedIndex<T>, low: number, high: number): number {
  if (low === 0) return high
  if (high === 0) return low
  const { integers } = index
  if (integers[low * SIZE * 2 + PRIORITY]! > integers[high * SIZE * 2 + PRIORITY]!) {
    integers[low * SIZE * 2 + RIGHT] = merge(index, integers[low * SIZE * 2 + RIGHT]!, high)
    refresh(index, low)
    return low
  }
  integers[high * SIZE * 2 + LEFT] = merge(index, low, integers[high * SIZE * 2 + LEFT]!)
  refresh(index, high)
  return high
}

function removeFrom<T>(index: OrderedIndex<T>, root: number, node: number): number {
  if (root === 0) throw new Error('ordered index: the node is not in this tree')
  const { integers } = index
  const at = root * SIZE * 2
  if (root === node) return merge(index, integers[at + LEFT]!, integers[at + RIGHT]!)
  const side = before(index, node, root) ? LEFT : RIGHT
  integers[at + side] = removeFrom(index, integers[at + side]!, node)
  refresh(index, root)
  return root
}

function refreshPath<T>(index: OrderedIndex<T>, root: number, node: number): void {
  if (root === 0) throw new Error('ordered index: the node is not in this tree')
  if (root !== node) {
    refreshPath(index, index.integers[root * SIZE * 2 + (before(index, node, root) ? LEFT : RIGHT)]!, node)
  }
  refresh(index, root)
}

/** Recomputes what a node says of its subtree. */
function refresh<T>({ floats, integers }: OrderedIndex<T>, node: number): void {
  const at = node * SIZE * 2
  const left = integers[at + LEFT]! * SIZE * 2
  const right = integers[at + RIGHT]! * SIZE * 2
  floats[at + MAX_A] = Math.max(floats[at + A]!, floats[left + MAX_A]!, floats[right + MAX_A]!)
  floats[at + MIN_B] = Math.min(floats[at + B]!, floats[left + MIN_B]!, floats[right + MIN_B]!)
  const own = integers[at + MASKS]! >>> 16
  const below = (integers[left + MASKS]! | integers[right + MASKS]!) & LOWER
  integers[at + MASKS] = (own << 16) | own | below
}

/** xorshift32: priorities need to be spread, not secret, and the same inserts must give the same tree. */
function nextPriority<T>(index: OrderedIndex<T>): number {
  let x = index.random
  x ^= x << 13
  x ^= x >>> 17
  x ^= x << 5
  index.random = x
  return x
}

function grow<T>(index: OrderedIndex<T>): void {
  const keys = new Float64Array(Math.ceil((index.keys.length / SIZE) * GROWTH) * SIZE)
  keys.set(index.keys)
  Object.assign(index, views(keys))
}
