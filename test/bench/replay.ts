/**
 * Requests of a real trace replayed through the market's own book in virtual time: a few providers take them in the market's order, and each task's wait and finish are forecast when it is submitted.
 */
import { type Book, createBook, type Provider } from '../../core/book.ts'
import { createEta, type Estimate, type Eta, estimate, finished, type Sight, started } from '../../core/forecast/eta.ts'
import type { Task } from '../../core/task.ts'
import { fund, holderOf, join, offer, order, request, say, succeeded, T0, taskOf } from '../support/book.ts'

export type Arrival = { at: number; model: string; inTokens: number; outTokens: number }

/** A forecast and what came, ms. */
export type Replayed = { estimate: Estimate; waitMs: number; finishMs: number }

/** Tokens a second that a slot reads and writes. */
const READ = 5_000
const WRITE = 60
const PROVIDERS = 5

type Running = { task: string; lease: string; provider: Provider; from: number; until: number }

/** @param load the share of the time that slots are busy, over the whole trace */
export function replay(arrivals: readonly Arrival[], load: number): Replayed[] {
  const book = openMarket(arrivals, load)
  const etas = new Map<string, Eta>()
  const queues = new Map<string, Set<string>>()
  const open = new Map<string, Estimate>()
  const sizes = new Map<string, Arrival>()
  const seen = new Map<Provider, number>()
  const running: Running[] = []
  const done: Replayed[] = []
  const etaFor = (model: string) => ofMap(etas, model, createEta)
  const queueFor = (model: string) => ofMap(queues, model, () => new Set<string>())

  for (const arrival of arrivals) {
    const now = T0 + arrival.at
    for (let next = running[0]; next && next.until <= now; next = running[0]) finish(running.shift()!)
    const before = estimate(etaFor(arrival.model), sightOf(book, queueFor(arrival.model), arrival, now))
    // Cheap: one attempt at a time, so that each task waits and runs once.
    const asked = request({ model: arrival.model, maxUnits: 1, preference: 'cheapest' })
    const [id] = order(book, 1, [asked], now) as [string]
    open.set(id, before)
    sizes.set(id, arrival)
    queueFor(arrival.model).add(id)
    const holder = holderOf(book, id)
    if (holder) take(book.providers.get(holder)!, now)
  }
  for (let next = running.shift(); next; next = running.shift()) finish(next)
  return done

  function finish({ task, lease, provider, from, until }: Running): void {
    const estimate = open.get(task)!
    const { spec } = taskOf(book, task)
    open.delete(task)
    finished(etaFor(spec.model), estimate, until - spec.createdAt, until - from)
    done.push({ estimate, waitMs: from - spec.createdAt, finishMs: until - spec.createdAt })
    const renew = running.filter((one) => one.provider === provider).map((one) => one.lease)
    const free = provider.registration.slots - renew.length
    say(book, provider, { free, seen: seen.get(provider) ?? 0, results: [succeeded(lease)], renew }, until)
    take(provider, until)
    forget(book)
  }

  /** The provider begins with what it was given. */
  function take(provider: Provider, now: number): void {
    for (const [lease, { seq, task }] of provider.leases) {
      if (seq <= (seen.get(provider) ?? 0)) continue
      const { spec } = taskOf(book, task)
      const { inTokens, outTokens } = sizes.get(task)!
      const until = now + Math.ceil((inTokens / READ + outTokens / WRITE) * 1000)
      const place = running.findLastIndex((one) => one.until <= until)
      running.splice(place + 1, 0, { task, lease, provider, from: now, until })
      queueFor(spec.model).delete(task)
      started(etaFor(spec.model), open.get(task)!, now - spec.createdAt)
    }
    seen.set(provider, provider.lastSeq)
  }
}

function openMarket(arrivals: readonly Arrival[], load: number): Book {
  const book = createBook('c1')
  fund(book, 1)
  const models = [...new Set(arrivals.map(({ model }) => model))]
  const busyMs = arrivals.reduce(
    (sum, { inTokens, outTokens }) => sum + (inTokens / READ + outTokens / WRITE) * 1000,
    0,
  )
  const slots = Math.max(PROVIDERS, Math.round(busyMs / (arrivals.at(-1)!.at - arrivals[0]!.at) / load))
  for (let i = 0; i < PROVIDERS; i++) {
    const free = Math.floor((slots + i) / PROVIDERS)
    join(book, i, T0, { offers: models.map((model) => offer({ model })), slots: free, free })
  }
  return book
}

/** Asked before the task is submitted, from what is in the book by then. */
function sightOf(book: Book, queue: Set<string>, { inTokens }: Arrival, now: number): Sight {
  const [oldest] = queue
  const idle = [...book.providers.values()].some(({ supply }) => supply.room > 0)
  const oldestMs = oldest === undefined ? 0 : now - taskOf(book, oldest).spec.createdAt
  return { idle, ahead: queue.size, oldestMs, size: inTokens }
}

/** What the market's shell would have written down and told; a replay needs neither. */
function forget(book: Book): void {
  book.log.length = 0
  book.ended.clear()
  book.news = { ended: [] as Task[], changed: [] as Task[], providers: new Set() }
}

function ofMap<T>(map: Map<string, T>, key: string, make: () => T): T {
  const value = map.get(key) ?? make()
  map.set(key, value)
  return value
}
