/**
 * Many small ordered sets in one arena: treaps whose nodes also carry, for their subtree, the greatest `a`, the least `b` and
 * the union of `mask`. So the first item in order with a >= x, b <= y and a shared mask bit is found without looking at what
 * cannot fit: O(log n) where the bounds are independent of the order, as prices and reputations are.
 *
 * A node is one run of 72 bytes, because a walk down a large tree costs what it touches in memory: seven doubles, then four
 * integers seen through a second view of the same buffer.
 */
export type OrderedIndex<T> = {
  items: (T | undefined)[]
  numbers: Float64Array
  integers: Int32Array
  free: number[]
  used: number
  random: number
  /** Where `split` leaves its two halves: returning a pair would allocate on every insert. */
  low: number
  high: number
}

/** A set within an index: the node at its root, 0 when empty. */
export type Tree = { root: number }

/** Order: key0, then key1, then key2, ascending; key2 must make keys unique within a tree. `mask` has 16 bits. */
export type Entry = { key0: number; key1: number; key2: number; a: number; b: number; mask: number }

const SIZE = 9
const KEY0 = 0
const KEY1 = 1
const KEY2 = 2
const A = 3
const B = 4
const MAX_A = 5
const MIN_B = 6
/** Offsets in the view of integers, of which there are two to a double. */
const LEFT = 14
const RIGHT = 15
const PRIORITY = 16
/** The node's own mask in the upper half, its subtree's union in the lower. */
const MASKS = 17
const LOWER = 0xffff

const GROWTH = 1.25

export function createIndex<T>(): OrderedIndex<T> {
  const numbers = new Float64Array(64 * SIZE)
  // Node 0 stands for empty: it never changes an aggregate.
  numbers[MAX_A] = Number.NEGATIVE_INFINITY
  numbers[MIN_B] = Number.POSITIVE_INFINITY
  const integers = new Int32Array(numbers.buffer)
  return { items: [undefined], numbers, integers, free: [], used: 1, random: 0x9e3779b9, low: 0, high: 0 }
}

/** Adds an item; returns its node, by which it is removed. */
export function insert<T>(index: OrderedIndex<T>, tree: Tree, item: T, entry: Entry): number {
  const node = index.free.pop() ?? index.used++
  if ((node + 1) * SIZE > index.numbers.length) grow(index)
  index.items[node] = item
  const { numbers, integers } = index
  const at = node * SIZE
  numbers[at + KEY0] = entry.key0
  numbers[at + KEY1] = entry.key1
  numbers[at + KEY2] = entry.key2
  numbers[at + A] = entry.a
  numbers[at + B] = entry.b
  integers[at * 2 + LEFT] = 0
  integers[at * 2 + RIGHT] = 0
  integers[at * 2 + PRIORITY] = nextPriority(index)
  integers[at * 2 + MASKS] = entry.mask << 16
  refresh(index, node)
  tree.root = insertInto(index, tree.root, node)
  return node
}

export function remove<T>(index: OrderedIndex<T>, tree: Tree, node: number): void {
  tree.root = removeFrom(index, tree.root, node)
  index.items[node] = undefined
  index.free.push(node)
}

/** Changes a node's mask where it stands; with 0 no search finds it. */
export function setMask<T>(index: OrderedIndex<T>, tree: Tree, node: number, mask: number): void {
  index.integers[node * SIZE * 2 + MASKS] = mask << 16
  refreshPath(index, tree.root, node)
}

/** The first node in order with a >= minA, b <= maxB, a bit of `mask`, and `accept(item, node)`; 0 when there is none. */
export function first<T>(
  index: OrderedIndex<T>,
  root: number,
  minA: number,
  maxB: number,
  mask: number,
  accept: (item: T, node: number) => boolean,
): number {
  const { numbers, integers } = index
  let node = root
  while (node !== 0) {
    const at = node * SIZE
    const masks = integers[at * 2 + MASKS]!
    if (!(numbers[at + MAX_A]! >= minA && numbers[at + MIN_B]! <= maxB && (masks & mask) !== 0)) return 0
    const left = integers[at * 2 + LEFT]!
    if (left !== 0) {
      const found = first(index, left, minA, maxB, mask, accept)
      if (found !== 0) return found
    }
    const fits = numbers[at + A]! >= minA && numbers[at + B]! <= maxB && ((masks >>> 16) & mask) !== 0
    if (fits && accept(index.items[node]!, node)) return node
    node = integers[at * 2 + RIGHT]!
  }
  return 0
}

/** The node's first key. */
export const firstKey = <T>(index: OrderedIndex<T>, node: number): number => index.numbers[node * SIZE + KEY0]!

/** True when x comes before y. */
export function before<T>({ numbers }: OrderedIndex<T>, x: number, y: number): boolean {
  const i = x * SIZE
  const j = y * SIZE
  const by0 = numbers[i + KEY0]! - numbers[j + KEY0]!
  if (by0 !== 0) return by0 < 0
  const by1 = numbers[i + KEY1]! - numbers[j + KEY1]!
  if (by1 !== 0) return by1 < 0
  return numbers[i + KEY2]! < numbers[j + KEY2]!
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
function refresh<T>({ numbers, integers }: OrderedIndex<T>, node: number): void {
  const at = node * SIZE
  const left = integers[at * 2 + LEFT]! * SIZE
  const right = integers[at * 2 + RIGHT]! * SIZE
  numbers[at + MAX_A] = Math.max(numbers[at + A]!, numbers[left + MAX_A]!, numbers[right + MAX_A]!)
  numbers[at + MIN_B] = Math.min(numbers[at + B]!, numbers[left + MIN_B]!, numbers[right + MIN_B]!)
  const own = integers[at * 2 + MASKS]! >>> 16
  const below = (integers[left * 2 + MASKS]! | integers[right * 2 + MASKS]!) & LOWER
  integers[at * 2 + MASKS] = (own << 16) | own | below
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
  const nodes = Math.ceil((index.numbers.length / SIZE) * GROWTH)
  const numbers = new Float64Array(nodes * SIZE)
  numbers.set(index.numbers)
  index.numbers = numbers
  index.integers = new Int32Array(numbers.buffer)
}
