/** Builders of what a market's book is made of: each gives something ordinary, and takes what should be different. */
import { currentAttempt } from '#core/attempts.ts'
import { type Book, createBook, disconnect, expireSoon, type Provider, record } from '#core/book.ts'
import { poll, register, submit } from '#core/market.ts'
import type { Ask, Supply, Want } from '#core/matching.ts'
import { ONE_TOKEN } from '#core/money.ts'
import type { Poll, Result, ResultReceipt } from '#core/protocol/lease.ts'
import type { Offer, Register } from '#core/protocol/provider.ts'
import type { Address } from '#core/protocol/values.ts'
import { purseId } from '#core/purse.ts'
import type { TaskRequest } from '#core/request.ts'
import type { Task, TaskSpec } from '#core/task.ts'

/** Some moment; no test depends on which. */
export const T0 = Date.UTC(2026, 0, 1)

export const address = (n: number): Address => `0x${n.toString(16).padStart(40, '0')}`
/** Requesters and providers have addresses apart. */
export const requesterOf = (n: number): Address => address(0xa0_0000 + n)
export const providerOf = (n: number): Address => address(0xb0_0000 + n)

export const want = (over: Partial<Want> = {}): Want => ({
  id: `w${over.seq ?? 1}`,
  seq: 1,
  requester: requesterOf(1),
  kind: 'text.embed',
  model: 'm',
  variant: null,
  bid: 1000n,
  preference: 'balanced',
  minReputation: 0,
  minContext: 0,
  region: null,
  exclude: [],
  tag: 0,
  deadline: T0 + 600_000,
  avoid: [],
  avoidUntil: 0,
  drawn: null,
  queued: false,
  ...over,
})

export const ask = (over: Partial<Ask> = {}): Ask => ({
  kind: 'text.embed',
  model: 'm',
  ask: 100n,
  speed: 10,
  context: 0,
  digest: null,
  bits: 0,
  capabilities: [],
  reputation: 0.5,
  hope: null,
  warm: false,
  ...over,
})

export const supply = (over: Partial<Supply> = {}): Supply => ({
  seq: 1,
  address: providerOf(over.seq ?? 1),
  region: null,
  offers: [ask()],
  room: 1,
  places: [],
  loaded: null,
  streak: 0,
  ...over,
})

export const spec = (over: Partial<TaskSpec> = {}): TaskSpec => ({
  id: 't1',
  seq: 1,
  requester: requesterOf(1),
  purse: purseId(requesterOf(1), 'session'),
  kind: 'text.embed',
  model: 'm',
  variant: null,
  input: { texts: ['hello'] },
  bytes: 19,
  bid: 1000n,
  maxUnits: 2,
  preference: 'balanced',
  minReputation: 0,
  minContext: 0,
  region: null,
  exclude: [],
  createdAt: T0,
  deadline: T0 + 600_000,
  maxAttempts: 3,
  stream: false,
  ...over,
})

export const request = (over: Partial<TaskRequest> = {}): TaskRequest => ({
  kind: 'text.embed',
  model: 'm',
  variant: null,
  input: { texts: ['hello'] },
  bytes: 19,
  bid: 1000n,
  maxUnits: 2,
  preference: 'balanced',
  minReputation: 0,
  minContext: 0,
  region: null,
  exclude: [],
  deadlineMs: 600_000,
  maxAttempts: 3,
  stream: false,
  ...over,
})

export const offer = (over: Partial<Offer> = {}): Offer => ({
  kind: 'text.embed',
  model: 'm',
  ask: '0.0000000000000001',
  speed: 10,
  ...over,
})

export const registration = (over: Partial<Register> = {}): Register => ({
  name: '',
  slots: 4,
  offers: [offer()],
  agent: '',
  ...over,
})

export const succeeded = (lease: string, output: Record<string, unknown> = { embeddings: [[1]] }): Result => ({
  lease,
  outcome: { status: 'succeeded', output, usage: { inputTokens: 1, outputTokens: 0 } },
})
export const failed = (lease: string, message = 'it broke'): Result => ({
  lease,
  outcome: { status: 'failed', error: { code: 'broken', message } },
})
export const returned = (lease: string): Result => ({ lease, outcome: { status: 'returned' } })

/** A book in which class `text.embed m` is known, and each requester of `funded` has a purse of a thousand tokens. */
export function openBook(funded: number[] = [1]): Book {
  const book = createBook('c1')
  book.classes.add('text.embed m')
  for (const n of funded) fund(book, n)
  return book
}

export function fund(book: Book, requester: number): void {
  const purse = purseId(requesterOf(requester), 'session')
  record(book, { type: 'drew', at: T0, purse, total: 1000n * ONE_TOKEN })
}

/** Registers a provider that has room and stays reachable. */
export function join(book: Book, n: number, now: number, over: Partial<Register> & { free?: number } = {}): Provider {
  const { free = 1, ...parts } = over
  const provider = enrol(book, n, now, parts)
  say(book, provider, { free }, now)
  return provider
}

/** Registers a provider that asks for nothing yet. */
export const enrol = (book: Book, n: number, now: number, over: Partial<Register> = {}): Provider =>
  register(book, providerOf(n), registration(over), now)

/** A poll of a provider that can be reached afterwards; by default it has seen nothing and has nothing to say. */
export function say(book: Book, provider: Provider, call: Partial<Poll>, now: number): ResultReceipt[] {
  const receipts = poll(book, provider, { free: 0, seen: 0, results: [], renew: [], ...call }, now)
  provider.reachable = true
  return receipts
}

/** A provider's connection breaks. */
export function vanish(book: Book, provider: Provider, now: number): void {
  disconnect(book, provider)
  expireSoon(book, provider, now)
}

/** Submits tasks of a requester, and returns their ids. */
export function order(book: Book, requester: number, requests: TaskRequest[], now: number): string[] {
  const first = book.stats.totalTasks
  let made = 0
  const newId = () => `t${first + ++made}`
  const purse = purseId(requesterOf(requester), 'session')
  const result = submit(book, { requester: requesterOf(requester), purse, requests, newId }, now)
  if ('short' in result) throw new Error(`the purse is short of ${result.short}`)
  return result.tasks.map(({ spec: { id } }) => id)
}

export const taskOf = (book: Book, id: string): Task => {
  const task = book.tasks.get(id)?.task ?? book.ended.get(id)
  if (!task) throw new Error(`no task ${id}`)
  return task
}

/** The provider that holds the lease of a task, if any. */
export function holderOf(book: Book, id: string): Address | null {
  const task = taskOf(book, id)
  return task.attempts[currentAttempt(task) - 1]?.provider ?? null
}
