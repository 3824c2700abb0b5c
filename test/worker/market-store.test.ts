import { runInDurableObject } from 'cloudflare:test'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { apply, type BookEvent } from '#core/book.ts'
import type { Market } from '#worker/objects/market.ts'
import { loadMarket, type MarketStore, pack, snapshot, writeMarket } from '#worker/objects/market-store.ts'
import { durable } from '../support/durable.ts'
import { runs } from '../support/market-ops.ts'
import { createWorld, step } from '../support/market-world.ts'
import { bindings } from '../support/network.ts'

const CELL = 'c1'
const SEEDS = [3]

/** What a market is asked to write down: events of calls, and now and then to put ended tasks away or the whole book. */
type Write = BookEvent[] | ((store: MarketStore) => void)

/** With pages so small that a run fills some. */
const whole = (store: MarketStore) => snapshot(store, 2)

/** The longest of some random runs of a market. */
function writesOf(seed: number): { writes: Write[]; now: number } {
  const world = createWorld()
  const writes: Write[] = [[...world.journal]]
  const [longest] = fc.sample(runs(120), { seed, numRuns: 20 }).sort((x, y) => y.length - x.length)
  for (const [n, op] of longest!.entries()) {
    const from = world.journal.length
    step(world, op)
    writes.push(structuredClone(world.journal.slice(from)))
    if (n % 7 === 6) writes.push(pack)
    if (n % 17 === 16) writes.push(whole)
  }
  return { writes, now: world.now }
}

/** A storage of which the process dies at the n-th statement that writes. `done` counts them. */
function mortal(storage: DurableObjectStorage, n: number): { storage: DurableObjectStorage; done: () => number } {
  let writes = 0
  const write = <A extends unknown[], R>(of: object, method: (...args: A) => R, args: A): R => {
    if (++writes === n) throw new Error('killed')
    return method.apply(of, args)
  }
  const { kv, sql } = storage
  const mortalKv = new Proxy(kv, {
    get: (of, name) => {
      if (name === 'put') return (...args: Parameters<typeof kv.put>) => write(of, of.put, args)
      if (name === 'delete') return (...args: Parameters<typeof kv.delete>) => write(of, of.delete, args)
      const value = Reflect.get(of, name)
      return typeof value === 'function' ? value.bind(of) : value
    },
  })
  const mortalSql = new Proxy(sql, {
    get: (of, name) => {
      if (name !== 'exec') return Reflect.get(of, name)
      return (query: string, ...bindings: unknown[]) =>
        /^\s*(insert|update|delete)/.test(query)
          ? write(of, of.exec, [query, ...bindings])
          : of.exec(query, ...bindings)
    },
  })
  const proxy = new Proxy(storage, {
    get: (of, name) => {
      if (name === 'kv') return mortalKv
      if (name === 'sql') return mortalSql
      const value = Reflect.get(of, name)
      return typeof value === 'function' ? value.bind(of) : value
    },
  })
  return { storage: proxy, done: () => writes }
}

function perform(store: MarketStore, write: Write): void {
  if (typeof write === 'function') write(store)
  else {
    for (const event of write) apply(store.book, event)
    store.book.log.push(...write)
    writeMarket(store)
  }
}

/** All that must outlast the process, ended tasks included: each is put away once, or still in the book. */
function kept({ book, storage }: MarketStore) {
  const packs = storage.sql.exec<{ tasks: string }>('select tasks from archive order by id').toArray()
  const packed = packs.flatMap(({ tasks }) =>
    (JSON.parse(tasks) as { view: { id: string } }[]).map(({ view }) => view.id),
  )
  return { facts: durable(book), ended: [...packed, ...book.ended.keys()].sort() }
}

test('a market that dies at any statement of its store has what was acknowledged, once, and nothing of what was not', async () => {
  await runInDurableObject(bindings.MARKET.getByName('a cell to be killed'), async (_: Market, { storage }) => {
    for (const seed of SEEDS) {
      const { writes, now } = writesOf(seed)
      await storage.deleteAll()
      const counted = mortal(storage, Number.POSITIVE_INFINITY)
      const living = loadMarket(counted.storage, CELL, now)
      const after = [kept(living)]
      for (const write of writes) {
        perform(living, write)
        after.push(structuredClone(kept(living)))
      }
      expect(living.book.pages.size).toBeGreaterThan(0)
      expect(counted.done()).toBeGreaterThan(40)
      for (let n = 1; n <= counted.done(); n++) {
        await storage.deleteAll()
        const store = loadMarket(mortal(storage, n).storage, CELL, now)
        let acknowledged = 0
        expect(() => {
          for (const write of writes) {
            perform(store, write)
            acknowledged++
          }
        }).toThrow('killed')
        expect(kept(loadMarket(storage, CELL, now)), `seed ${seed}, statement ${n}`).toEqual(after[acknowledged])
      }
    }
  })
})
