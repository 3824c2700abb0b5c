/**
 * A market with its requesters' accounts and its providers' agents, as plain data that steps move on. Each step is a function of
 * the world and of an `Op` alone, so two worlds that are alike stay alike under the same steps.
 */
import { type Account, applyToAccount, createAccount, grantDraw, SESSION_KEY } from '#core/account.ts'
import {
  type Book,
  type BookEvent,
  createBook,
  disconnect,
  expireSoon,
  pardon,
  purseOf,
  record,
  tick,
} from '#core/book.ts'
import { createDecisions } from '#core/decision.ts'
import { estimate, finished } from '#core/forecast/eta.ts'
import { createGrants } from '#core/grants.ts'
import { cancel, poll, register, sealed, submit } from '#core/market.ts'
import { ONE_TOKEN } from '#core/money.ts'
import { createOutlook } from '#core/outlook.ts'
import { type PageTask, turnPages } from '#core/pages.ts'
import type { Result } from '#core/protocol/lease.ts'
import type { Register } from '#core/protocol/provider.ts'
import { available, drawTargets, purseId } from '#core/purse.ts'
import type { TaskRequest } from '#core/request.ts'
import { headOf, partsOf, restore, type SnapshotHead, type SnapshotPart } from '#core/snapshot.ts'
import type { Task } from '#core/task.ts'
import { makeTaskId } from '#core/task-id.ts'
import { leasesAfter } from '#core/views.ts'
import { providerOf, requesterOf, T0 } from './book.ts'

export type ResultOp = { lease: number; is: 'good' | 'other' | 'bad output' | 'failed' | 'returned'; twice: boolean }

export type Op =
  | { do: 'submit'; requester: number; requests: TaskRequest[] }
  | { do: 'register'; provider: number; registration: Register }
  | {
      do: 'poll'
      provider: number
      free: number
      /** How it counts what it has seen: truly, as after a restart, or as in an old call that comes late. */
      seen: 'all' | 'none' | 'old'
      /** Bit n: the n-th lease it knows of is renewed. */
      renew: number
      results: ResultOp[]
      /** The answer gets lost on its way. */
      deaf: boolean
      stays: boolean
    }
  /** The room of a stream tells what an attempt that ended delivered; now and then an earlier one. */
  | { do: 'seal'; task: number; attempt: 'last' | 'first'; tokens: number }
  | { do: 'cancel'; task: number }
  | { do: 'wait'; ms: number }
  | { do: 'outage'; ms: number }
  | { do: 'vanish'; provider: number }
  | { do: 'settle'; requester: number; old: boolean }
  | { do: 'restore'; requester: number }
  | { do: 'archive' }

type Agent = { seen: number; oldSeen: number; leases: string[] }
type Report = { captured: bigint; restored: bigint }

export type World = {
  book: Book
  now: number
  /** What was written of its book apart from the rest. */
  pages: Pages
  /** Events written down so far. */
  journal: BookEvent[]
  accounts: Account[]
  /** Last two reports of each requester's purse to its account. */
  reports: Report[]
  agents: Agent[]
  /** Every lease that was ever told to anybody. */
  told: string[]
  submitted: string[]
  /** How each task ended, when it did. */
  ended: Map<string, Task>
  /** What each step answered. */
  answers: unknown[]
}

export const REQUESTERS = 3
export const PROVIDERS = 4
/** Of a provider, the first few are registered. */
export const DEVICES = ['a', 'b', 'c']
const DEPOSIT = 50n * ONE_TOKEN

/** What a book has learned of a class whose tasks run for a second, so that those that take longer are late. */
const LEARNED = (() => {
  const outlook = createOutlook()
  const sight = { idle: true, ahead: 0, oldestMs: 0, size: 8 }
  for (let n = 0; n < 50; n++) finished(outlook.eta, estimate(outlook.eta, sight), 1000, 1000)
  return outlook
})()

/** The book that every world begins with. */
export function firstBook(): Book {
  const book = createBook('c1')
  book.outlooks.set('llm.chat m', structuredClone(LEARNED))
  return book
}

export function createWorld(): World {
  const accounts = Array.from({ length: REQUESTERS }, () => {
    const account = createAccount()
    applyToAccount(account, { type: 'deposited', at: T0, amount: DEPOSIT, source: 'faucet' })
    return account
  })
  return {
    book: firstBook(),
    now: T0,
    pages: new Map(),
    journal: [],
    accounts,
    reports: accounts.map(() => ({ captured: 0n, restored: 0n })),
    agents: Array.from({ length: PROVIDERS }, () => ({ seen: 0, oldSeen: 0, leases: [] })),
    told: [],
    submitted: [],
    ended: new Map(),
    answers: [],
  }
}

const keyOf = (requester: number): string => purseId(requesterOf(requester), SESSION_KEY)

/** Takes a step; afterwards nothing is left in the book's log or news. */
export function step(world: World, op: Op): void {
  world.answers.push(answerTo(world, op))
  const { book } = world
  world.journal.push(...book.log)
  book.log = []
  for (const task of book.news.ended) {
    if (world.ended.has(task.spec.id)) throw new Error(`${task.spec.id} ended twice`)
    world.ended.set(task.spec.id, task)
  }
  book.news = { ended: [], changed: [], providers: new Set() }
}

function answerTo(world: World, op: Op): unknown {
  const { book, now } = world
  switch (op.do) {
    case 'submit':
      return buy(world, op.requester, op.requests)
    case 'register':
      register(book, providerOf(op.provider), op.registration, now)
      Object.assign(world.agents[op.provider]!, { seen: 0, oldSeen: 0 })
      return null
    case 'poll':
      return call(world, op)
    case 'seal': {
      const id = [...book.sealing].sort()[op.task % book.sealing.size]
      const { attempts } = (id && book.tasks.get(id)?.task) || { attempts: [] }
      const attempt = op.attempt === 'last' ? attempts.length : 1
      if (id) sealed(book, id, attempt, { text: 'x'.repeat(op.tokens), tokens: op.tokens }, now)
      return null
    }
    case 'cancel': {
      const id = world.submitted[op.task % world.submitted.length]
      if (id) cancel(book, id, now)
      return null
    }
    case 'wait':
      world.now += op.ms
      tick(book, world.now)
      return null
    case 'outage':
      world.now += op.ms
      pardon(book, world.now)
      tick(book, world.now)
      return null
    case 'vanish': {
      const provider = book.providers.get(providerOf(op.provider))
      if (!provider) return null
      disconnect(book, provider)
      expireSoon(book, provider, now)
      return null
    }
    case 'settle':
      return settle(world, op.requester, op.old)
    case 'restore': {
      const purse = purseOf(book, keyOf(op.requester))
      if (purse.held > 0n) return null
      record(book, { type: 'restored', at: now, purse: purse.id, total: purse.restored + available(purse) })
      return null
    }
    case 'archive':
      book.ended.clear()
      return null
  }
}

function buy(world: World, requester: number, requests: TaskRequest[]): unknown {
  const { book, now } = world
  let made = 0
  const newId = (at: number) => makeTaskId(book.cell, at, String(world.submitted.length + ++made).padStart(10, '0'))
  const submission = { requester: requesterOf(requester), purse: keyOf(requester), requests, newId }
  try {
    let result = submit(book, submission, now)
    if ('short' in result) {
      draw(world, requester, result.short)
      result = submit(book, submission, now)
    }
    if ('short' in result) return result
    const ids = result.tasks.map(({ spec }) => spec.id)
    world.submitted.push(...ids)
    return ids
  } catch (error) {
    return (error as Error).message
  }
}

function draw({ book, accounts, now }: World, requester: number, short: bigint): void {
  const account = accounts[requester]!
  const purse = purseOf(book, keyOf(requester))
  const total = grantDraw(account, { cell: 'c1', key: SESSION_KEY, ...drawTargets(purse, short) }, now)
  applyToAccount(account, { type: 'drew', at: now, cell: 'c1', key: SESSION_KEY, total })
  record(book, { type: 'drew', at: now, purse: purse.id, total })
}

/** Reports a purse's totals to its account; `old` sends the report before once more, as a message that was late. */
function settle({ book, accounts, reports, now }: World, requester: number, old: boolean): null {
  const { captured, restored } = purseOf(book, keyOf(requester))
  const report = old ? reports[requester]! : { captured, restored }
  applyToAccount(accounts[requester]!, { type: 'settled', at: now, cell: 'c1', key: SESSION_KEY, ...report })
  reports[requester] = { captured, restored }
  return null
}

function call(world: World, op: Extract<Op, { do: 'poll' }>): unknown {
  const { book, now, told } = world
  const agent = world.agents[op.provider]!
  const provider = book.providers.get(providerOf(op.provider))
  if (!provider) return null
  const seen = { all: agent.seen, none: 0, old: agent.oldSeen }[op.seen]
  const results = told.length === 0 ? [] : op.results.flatMap((result) => resultsOf(told, agent, result))
  const renew = agent.leases.filter((_, n) => op.renew & (1 << (n % 8)))
  const untold = leasesAfter(book, provider, seen).length
  const receipts = poll(book, provider, { free: op.free, seen, renew, results }, now)
  provider.reachable = op.stays
  if (!op.stays) disconnect(book, provider)
  const leases = leasesAfter(book, provider, seen)
  for (const { id } of leases) if (!told.includes(id)) told.push(id)
  const { revoked } = provider
  provider.revoked = []
  if (!op.deaf) {
    agent.oldSeen = agent.seen
    agent.seen = Math.max(agent.seen, ...leases.map(({ seq }) => seq))
    const known = new Set([...agent.leases, ...leases.map(({ id }) => id)])
    for (const id of revoked) known.delete(id)
    agent.leases = [...known]
  }
  if (leases.length > Math.max(untold, op.free)) throw new Error('more leases than asked for')
  return { receipts, leases: leases.map(({ id }) => id), revoked }
}

/** A result for one of the agent's own leases when it has any, and now and then for anybody's. */
function resultsOf(told: string[], agent: Agent, { lease, is, twice }: ResultOp): Result[] {
  const among = agent.leases.length > 0 && lease % 4 !== 0 ? agent.leases : told
  const id = among[Math.floor(lease / 4) % among.length]!
  const result: Result = { lease: id, outcome: outcomeOf(is, DEVICES.slice(lease % 3, 1 + (lease % 5))) }
  return twice ? [result, result] : [result]
}

function outcomeOf(is: ResultOp['is'], devices: string[]): Result['outcome'] {
  const made = { usage: { inputTokens: 5, outputTokens: 3 }, ...(devices.length > 0 && { devices }) }
  switch (is) {
    case 'good':
      return { status: 'succeeded', output: { content: 'x', finishReason: 'stop' }, ...made }
    case 'other':
      return { status: 'succeeded', output: { content: 'y', finishReason: 'stop' }, ...made }
    case 'bad output':
      return { status: 'succeeded', output: { content: 1 }, ...made }
    case 'failed':
      return { status: 'failed', error: { code: 'broken', message: 'it broke' } }
    case 'returned':
      return { status: 'returned' }
  }
}

/** The market sleeps, forgets what is soft, and everybody loses their connection; it is read back from what was written down whole. */
export function sleepAndWake(world: World): World {
  const { book, ...rest } = world
  for (const provider of book.providers.values()) disconnect(book, provider)
  book.ended.clear()
  Object.assign(book, { grants: createGrants(), backlogs: new Map(), decisions: createDecisions() })
  for (const { want } of book.tasks.values()) want.drawn = null
  const written = writeWhole(book, world.pages)
  return { ...structuredClone(rest), pages: written.pages, book: readBack(written, world.now) }
}

/** On so small a page that random runs fill many. */
const PAGE_TASKS = 2

type Pages = Map<number, PageTask[]>
type Whole = { head: SnapshotHead; parts: SnapshotPart[]; pages: Pages }

/** Writes a book down as its store does. @param pages what was written on them before */
export function writeWhole(book: Book, pages: Pages): Whole {
  const { written, dropped } = turnPages(book, PAGE_TASKS)
  for (const number of dropped) pages.delete(number)
  for (const { number, tasks } of written) pages.set(number, tasks)
  return structuredClone({ head: headOf(book), parts: [...partsOf(book)], pages })
}

export const readBack = ({ head, parts, pages }: Whole, now: number): Book =>
  restore(head, parts, now, (number) => pages.get(number)!)
