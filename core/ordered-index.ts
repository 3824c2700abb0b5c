/**
 * Many small ordered sets in one arena of typed arrays: treaps whose nodes also carry, for their subtree, the greatest `a`,
 * the least `b` and the union of `mask`. So the first item in order with a >= x, b <= y and a shared mask bit is found
 * without looking at what cannot fit: O(log n) where the bounds are independent of the order, as prices and reputations are.
 */
export type OrderedIndex<T> = {
  items: (T | undefined)[]
  /** Order: key0, then key1, then key2, ascending; key2 must make keys unique within a tree. */
  key0: Float64Array
  key1: Float64Array
  key2: Float64Array
  a: Float64Array
  b: Float64Array
  mask: Uint16Array
  maxA: Float64Array
  minB: Float64Array
  anyMask: Uint16Array
  left: Int32Array
  right: Int32Array
  priority: Uint32Array
  free: number[]
  used: number
  random: number
  /** Where `split` leaves its two halves: returning a pair would allocate on every insert. */
  low: number
  high: number
}

/** A set within an index: the node at its root, 0 when empty. */
export type Tree = { root: number }

export type Entry = { key0: number; key1: number; key2: number; a: number; b: number; mask: number }

export function createIndex<T>(): OrderedIndex<T> {
  const capacity = 64
  return {
    items: [],
    key0: new Float64Array(capacity),
    key1: new Float64Array(capacity),
    key2: new Float64Array(capacity),
    a: new Float64Array(capacity),
    b: new Float64Array(capacity),
    mask: new Uint16Array(capacity),
    maxA: new Float64Array(capacity).fill(Number.NEGATIVE_INFINITY),
    minB: new Float64Array(capacity).fill(Number.POSITIVE_INFINITY),
    anyMask: new Uint16Array(capacity),
    left: new Int32Array(capacity),
    right: new Int32Array(capacity),
    priority: new Uint32Array(capacity),
    free: [],
    used: 1,
    random: 0x9e3779b9,
    low: 0,
    high: 0,
  }
}

/** Adds an item; returns its node, by which it is removed. */
export function insert<T>(index: OrderedIndex<T>, tree: Tree, item: T, entry: Entry): number {
  const node = index.free.pop() ?? index.used++
  if (node >= index.left.length) grow(index)
  index.items[node] = item
  index.key0[node] = entry.key0
  index.key1[node] = entry.key1
  index.key2[node] = entry.key2
  index.a[node] = entry.a
  index.b[node] = entry.b
  index.mask[node] = entry.mask
  index.priority[node] = nextPriority(index)
  index.left[node] = 0
  index.right[node] = 0
  refresh(index, node)
  tree.root = insertInto(index, tree.root, node)
  return node
}

export function remove<T>(index: OrderedIndex<T>, tree: Tree, node: number): void {
  tree.root = removeFrom(index, tree.root, node)
  index.items[node] = undefined
  index.free.push(node)
}

/** The first node in order with a >= minA, b <= maxB, a bit of `mask`, and `accept(item)`; 0 when there is none. */
export function first<T>(
  index: OrderedIndex<T>,
  root: number,
  minA: number,
  maxB: number,
  mask: number,
  accept: (item: T) => boolean,
): number {
  let node = root
  while (node !== 0 && index.maxA[node]! >= minA && index.minB[node]! <= maxB && index.anyMask[node]! & mask) {
    const found = first(index, index.left[node]!, minA, maxB, mask, accept)
    if (found !== 0) return found
    const fits = index.a[node]! >= minA && index.b[node]! <= maxB && (index.mask[node]! & mask) !== 0
    if (fits && accept(index.items[node]!)) return node
    node = index.right[node]!
  }
  return 0
}

/** True when x comes before y. */
export function before<T>(index: OrderedIndex<T>, x: number, y: number): boolean {
  const by0 = index.key0[x]! - index.key0[y]!
  if (by0 !== 0) return by0 < 0
  const by1 = index.key1[x]! - index.key1[y]!
  if (by1 !== 0) return by1 < 0
  return index.key2[x]! < index.key2[y]!
}

function insertInto<T>(index: OrderedIndex<T>, root: number, node: number): number {
  if (root === 0) return node
  if (index.priority[node]! > index.priority[root]!) {
    split(index, root, node)
    index.left[node] = index.low
    index.right[node] = index.high
    refresh(index, node)
    return node
  }
  if (before(index, node, root)) index.left[root] = insertInto(index, index.left[root]!, node)
  else index.right[root] = insertInto(index, index.right[root]!, node)
  refresh(index, root)
  return root
}

/** Parts a subtree at `pivot`: what comes before it into `index.low`, the rest into `index.high`. */
function split<T>(index: OrderedIndex<T>, root: number, pivot: number): void {
  if (root === 0) {
    index.low = 0
    index.high = 0
  } else if (before(index, root, pivot)) {
    split(index, index.right[root]!, pivot)
    index.right[root] = index.low
    refresh(index, root)
    index.low = root
  } else {
    split(index, index.left[root]!, pivot)
    index.left[root] = index.high
    refresh(index, root)
    index.high = root
  }
}

/** Joins two subtrees, all of `low` before all of `high`. */
function merge<T>(index: OrderedIndex<T>, low: number, high: number): number {
  if (low === 0) return high
  if (high === 0) return low
  if (index.priority[low]! > index.priority[high]!) {
    index.right[low] = merge(index, index.right[low]!, high)
    refresh(index, low)
    return low
  }
  index.left[high] = merge(index, low, index.left[high]!)
  refresh(index, high)
  return high
}

function removeFrom<T>(index: OrderedIndex<T>, root: number, node: number): number {
  if (root === 0) throw new Error('ordered index: the node is not in this tree')
  if (root === node) return merge(index, index.left[node]!, index.right[node]!)
  if (before(index, node, root)) index.left[root] = removeFrom(index, index.left[root]!, node)
  else index.right[root] = removeFrom(index, index.right[root]!, node)
  refresh(index, root)
  return root
}

/** Recomputes what a node says of its subtree. Node 0 stands for empty and never changes an aggregate. */
function refresh<T>(index: OrderedIndex<T>, node: number): void {
  const left = index.left[node]!
  const right = index.right[node]!
  index.maxA[node] = Math.max(index.a[node]!, index.maxA[left]!, index.maxA[right]!)
  index.minB[node] = Math.min(index.b[node]!, index.minB[left]!, index.minB[right]!)
  index.anyMask[node] = index.mask[node]! | index.anyMask[left]! | index.anyMask[right]!
}

/** xorshift32: priorities need to be spread, not secret, and the same inserts must give the same tree. */
function nextPriority<T>(index: OrderedIndex<T>): number {
  let x = index.random
  x ^= x << 13
  x ^= x >>> 17
  x ^= x << 5
  index.random = x
  return x >>> 0
}

function grow<T>(index: OrderedIndex<T>): void {
  const capacity = Math.ceil(index.left.length * 1.5)
  index.key0 = enlarge(index.key0, capacity)
  index.key1 = enlarge(index.key1, capacity)
  index.key2 = enlarge(index.key2, capacity)
  index.a = enlarge(index.a, capacity)
  index.b = enlarge(index.b, capacity)
  index.mask = enlarge(index.mask, capacity)
  index.maxA = enlarge(index.maxA, capacity)
  index.minB = enlarge(index.minB, capacity)
  index.anyMask = enlarge(index.anyMask, capacity)
  index.left = enlarge(index.left, capacity)
  index.right = enlarge(index.right, capacity)
  index.priority = enlarge(index.priority, capacity)
}

function enlarge<A extends Float64Array | Int32Array | Uint32Array | Uint16Array>(from: A, capacity: number): A {
  const to = new (from.constructor as new (length: number) => A)(capacity)
  to.set(from)
  return to
}
