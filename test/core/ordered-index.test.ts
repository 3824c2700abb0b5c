import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  before,
  createIndex,
  type Entry,
  emptyTree,
  first,
  inOrder,
  insert,
  type OrderedIndex,
  remove,
  type Tree,
} from '#core/ordered-index.ts'
import { holds } from '../support/property.ts'

type Item = Entry & { name: number }

const small = fc.integer({ min: 0, max: 8 })
const bits = fc.integer({ min: 0, max: 7 })
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('insert' as const),
      key0: small,
      key1: small,
      a: small,
      b: small,
      mask: bits,
      tree: bits,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), which: fc.nat() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('first' as const),
      minA: small,
      maxB: small,
      mask: bits,
      tree: bits,
      odd: fc.boolean(),
    }),
  },
)

const compare = (x: Entry, y: Entry) => x.key0 - y.key0 || x.key1 - y.key1 || x.key2 - y.key2
const fits = (item: Entry, minA: number, maxB: number, mask: number) =>
  item.a >= minA && item.b <= maxB && (item.mask & mask) !== 0

test('many sets in one arena answer as sorted arrays do, through inserts, removes, reuse and growth', () => {
  holds(
    fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (steps) => {
      const index = createIndex<Item>()
      const trees: Tree[] = Array.from({ length: 8 }, () => emptyTree())
      const model: { item: Item; tree: number; node: number }[] = []
      let names = 0
      for (const op of steps) {
        if (op.do === 'insert') {
          const { key0, key1, a, b, mask, tree } = op
          const item = { name: ++names, key0, key1, key2: names, a, b, mask }
          model.push({ item, tree, node: insert(index, trees[tree]!, item, item) })
        } else if (op.do === 'remove') {
          const [gone] = model.length > 0 ? model.splice(op.which % model.length, 1) : []
          if (gone) remove(index, trees[gone.tree]!, gone.node)
        } else {
          const accept = ({ name }: Item) => !op.odd || name % 2 === 1
          const node = first(index, trees[op.tree]!.root, op.minA, op.maxB, op.mask, accept)
          const expected = model
            .filter(({ item, tree }) => tree === op.tree && fits(item, op.minA, op.maxB, op.mask) && accept(item))
            .sort((x, y) => compare(x.item, y.item))[0]
          expect(index.items[node]?.name).toBe(expected?.item.name)
        }
      }
      for (const [number, { root }] of trees.entries()) {
        const items = model.filter(({ tree }) => tree === number).map(({ item }) => item)
        expect([...inOrder(index, root)]).toEqual(items.sort(compare))
      }
    }),
    150,
  )
})

test('it grows far past its first capacity, gives its nodes back, and forgets what was removed', () => {
  const index = createIndex<Item>()
  const tree: Tree = emptyTree()
  const nodes: number[] = []
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 5000; i++) {
      const item = { name: i, key0: (i * 7919) % 5000, key1: 0, key2: i, a: i, b: i, mask: 1 }
      nodes.push(insert(index, tree, item, item))
    }
    expect(new Set(nodes).size).toBe(5000)
    expect(index.items[first(index, tree.root, 4999, 5000, 1, () => true)]!.name).toBe(4999)
    for (const node of nodes.splice(0)) remove(index, tree, node)
    expect(tree.root).toBe(0)
    expect(index.items.every((item) => item === undefined)).toBe(true)
  }
  expect(index.used).toBe(5001)
})

test('items come out in order, and the order is total', () => {
  holds(
    fc.property(fc.array(fc.tuple(small, small), { maxLength: 60 }), (keys) => {
      const index = createIndex<Item>()
      const tree: Tree = emptyTree()
      const items = keys.map(([key0, key1], i) => ({ name: i, key0, key1, key2: i, a: 0, b: 0, mask: 1 }))
      const nodes = new Map(items.map((item) => [item.name, insert(index, tree, item, item)]))
      const drained: Item[] = []
      for (let node = first(index, tree.root, 0, 0, 1, () => true); node !== 0; ) {
        drained.push(index.items[node]!)
        remove(index, tree, node)
        node = first(index, tree.root, 0, 0, 1, () => true)
      }
      expect(drained).toEqual([...items].sort(compare))
      for (const x of items) {
        for (const y of items) expect(before(index, nodes.get(x.name)!, nodes.get(y.name)!)).toBe(compare(x, y) < 0)
      }
    }),
  )
})

test('items with equal keys are found and removed one by one', () => {
  holds(
    fc.property(fc.array(fc.nat(), { minLength: 1, maxLength: 40 }), (picks) => {
      const index = createIndex<number>()
      const tree: Tree = emptyTree()
      const same = { key0: 1, key1: 1, key2: 1, a: 0, b: 0, mask: 1 }
      const nodes = picks.map((_, i) => insert(index, tree, i, same))
      for (const pick of picks) remove(index, tree, nodes.splice(pick % nodes.length, 1)[0]!)
      expect(tree.root).toBe(0)
    }),
  )
})

test('removing what is not there is an error, not a corruption', () => {
  const index = createIndex<string>()
  const tree: Tree = emptyTree()
  const entry = { key0: 1, key1: 1, key2: 1, a: 0, b: 0, mask: 1 }
  const kept = insert(index, tree, 'kept', entry)
  const gone = insert(index, tree, 'gone', { ...entry, key2: 2 })
  remove(index, tree, gone)
  expect(() => remove(index, tree, gone)).toThrow()
  expect(first(index, tree.root, 0, 0, 1, () => true)).toBe(kept)
})

/** The same index, but what is read of its arrays is counted: the work of a search, whatever the machine. */
function counted<T>(index: OrderedIndex<T>): { index: OrderedIndex<T>; reads: () => number } {
  let reads = 0
  const get = (array: object, key: PropertyKey) => {
    reads++
    return Reflect.get(array, key, array)
  }
  const watched = Object.entries(index).map(([name, value]) => [
    name,
    ArrayBuffer.isView(value) ? new Proxy(value, { get }) : value,
  ])
  return { index: Object.fromEntries(watched), reads: () => reads }
}

function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** Reads of an average search over `size` items whose order and bounds have nothing to do with one another. */
function readsOfSearch(size: number): number {
  const index = createIndex<number>()
  const tree: Tree = emptyTree()
  const random = randomFrom(size)
  const bit = () => 1 << Math.floor(random() * 10)
  for (let i = 0; i < size; i++) {
    insert(index, tree, i, { key0: random(), key1: 0, key2: i, a: random(), b: random(), mask: bit() })
  }
  const watched = counted(index)
  const searches = 500
  for (let i = 0; i < searches; i++) first(watched.index, tree.root, random(), random(), bit(), () => true)
  return watched.reads() / searches
}

test('a search reads far less than the set holds, and hardly more of a set a hundred times as large', () => {
  const few = readsOfSearch(1000)
  const many = readsOfSearch(100_000)
  expect(few).toBeLessThan(1000)
  expect(many).toBeLessThan(few * 4)
})

test('items that come in order make no long chain: each is found in a number of reads like the logarithm of their number', () => {
  const index = createIndex<number>()
  const tree: Tree = emptyTree()
  const size = 50_000
  // `a` grows and `b` grows, so only one item has a >= i and b <= i.
  for (let i = 0; i < size; i++) insert(index, tree, i, { key0: i, key1: 0, key2: i, a: i, b: i, mask: 1 })
  const watched = counted(index)
  for (let i = 0; i < size; i += 500) {
    expect(index.items[first(watched.index, tree.root, i, i, 1, () => true)]).toBe(i)
  }
  expect(watched.reads() / (size / 500)).toBeLessThan(1000)
})
