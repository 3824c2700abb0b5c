import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  createIndex,
  type Entry,
  emptyTree,
  first,
  inOrder,
  insert,
  leastKey,
  type OrderedIndex,
  remove,
  setMask,
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
  { weight: 1, arbitrary: fc.record({ do: fc.constant('mask' as const), which: fc.nat(), mask: bits }) },
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
      const model: { item: Item; tree: number }[] = []
      let names = 0
      for (const op of steps) {
        if (op.do === 'insert') {
          const { key0, key1, a, b, mask, tree } = op
          const item = { name: ++names, key0, key1, key2: names, a, b, mask }
          model.push({ item, tree })
          insert(index, trees[tree]!, item, item)
        } else if (op.do === 'remove') {
          const [gone] = model.length > 0 ? model.splice(op.which % model.length, 1) : []
          if (gone) remove(index, trees[gone.tree]!, gone.item)
        } else if (op.do === 'mask') {
          const changed = model[op.which % Math.max(1, model.length)]
          if (!changed) continue
          changed.item.mask = op.mask
          setMask(index, trees[changed.tree]!, changed.item, op.mask)
        } else {
          const accept = ({ name }: Item) => !op.odd || name % 2 === 1
          const found = first(index, trees[op.tree]!, op.minA, op.maxB, op.mask, accept)
          const expected = model
            .filter(({ item, tree }) => tree === op.tree && fits(item, op.minA, op.maxB, op.mask) && accept(item))
            .sort((x, y) => compare(x.item, y.item))[0]
          expect(index.items[found]?.name).toBe(expected?.item.name)
        }
      }
      for (const [number, tree] of trees.entries()) {
        const items = model.filter((kept) => kept.tree === number).map(({ item }) => item)
        expect([...inOrder(index, tree)]).toEqual(items.sort(compare))
      }
    }),
    150,
  )
})

test('it grows far past its first capacity, gives its nodes back, and forgets what was removed', () => {
  const index = createIndex<Item>()
  const tree: Tree = emptyTree()
  let used = 0
  for (let round = 0; round < 4; round++) {
    const items = Array.from({ length: 5000 }, (_, i) => {
      return { name: i, key0: (i * 7919) % 5000, key1: 0, key2: i, a: i, b: i, mask: 1 }
    })
    const handles = new Set(items.map((item) => insert(index, tree, item, item)))
    expect(handles.size).toBe(5000)
    expect(index.items[first(index, tree, 4999, 5000, 1, () => true)]!.name).toBe(4999)
    if (round === 0) used = index.usedNodes
    for (const item of items) remove(index, tree, item)
    expect(tree).toEqual(emptyTree())
    expect(index.items.every((item) => item === undefined)).toBe(true)
  }
  expect(index.items.length).toBe(5001)
  expect(index.usedNodes).toBe(used)
})

test('a set that most are taken out of does not stay as large as it was', () => {
  const index = createIndex<Item>()
  const tree: Tree = emptyTree()
  const items = Array.from({ length: 10_000 }, (_, i) => ({ name: i, key0: i, key1: 0, key2: i, a: 0, b: 0, mask: 1 }))
  for (const item of items) insert(index, tree, item, item)
  for (const item of items) if (item.name % 100 !== 0) remove(index, tree, item)
  expect([...inOrder(index, tree)].map(({ name }) => name)).toEqual(Array.from({ length: 100 }, (_, i) => i * 100))
  expect(index.usedNodes - index.freeNodes.length).toBeLessThan(60)
})

test('items come out in order', () => {
  holds(
    fc.property(fc.array(fc.tuple(small, small), { maxLength: 60 }), (keys) => {
      const index = createIndex<Item>()
      const tree: Tree = emptyTree()
      const items = keys.map(([key0, key1], i) => ({ name: i, key0, key1, key2: i, a: 0, b: 0, mask: 1 }))
      for (const item of items) insert(index, tree, item, item)
      const drained: Item[] = []
      for (let next = index.items[first(index, tree, 0, 0, 1, () => true)]; next; ) {
        drained.push(next)
        remove(index, tree, next)
        expect(leastKey(index, tree)).toBe([...inOrder(index, tree)][0]?.key0 ?? null)
        next = index.items[first(index, tree, 0, 0, 1, () => true)]
      }
      expect(drained).toEqual([...items].sort(compare))
    }),
  )
})

test('nothing past the limit is found', () => {
  const index = createIndex<number>()
  const tree: Tree = emptyTree()
  for (let i = 0; i < 100; i++) insert(index, tree, i, { key0: i, key1: 0, key2: i, a: i, b: 0, mask: 1 })
  const upTo = (limit: number) => index.items[first(index, tree, 40, 0, 1, () => true, limit)]
  expect([upTo(39), upTo(40), upTo(41)]).toEqual([undefined, 40, 40])
})

test('removing what is not there is an error, not a corruption', () => {
  const index = createIndex<string>()
  const tree: Tree = emptyTree()
  const entry = { key0: 1, key1: 1, key2: 1, a: 0, b: 0, mask: 1 }
  const gone = { ...entry, key2: 2 }
  const kept = insert(index, tree, 'kept', entry)
  insert(index, tree, 'gone', gone)
  remove(index, tree, gone)
  for (const key2 of [0, 2]) expect(() => remove(index, tree, { ...entry, key2 })).toThrow()
  expect(first(index, tree, 0, 0, 1, () => true)).toBe(kept)
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
  for (let i = 0; i < searches; i++) first(watched.index, tree, random(), random(), bit(), () => true)
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
    expect(index.items[first(watched.index, tree, i, i, 1, () => true)]).toBe(i)
  }
  expect(watched.reads() / (size / 500)).toBeLessThan(1000)
})
