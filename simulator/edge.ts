/**
 * The edge of a simulated network: what worker/objects/market.ts does around the book, without the platform. After each call what
 * it brought about is audited, the journal is forgotten, and providers are told.
 */
import { type Account, applyToAccount, createAccount, grantDraw, SESSION_KEY } from '#core/account.ts'
import { type Book, createBook, disconnect, expireSoon, nextDue, pardon, purseOf, record, tick } from '#core/book.ts'
import { cancel, poll, register, sealed, submit } from '#core/market.ts'
import { ONE_TOKEN } from '#core/money.ts'
import type { Poll, PollAnswer } from '#core/protocol/lease.ts'
import type { Register } from '#core/protocol/provider.ts'
import type { Address } from '#core/protocol/values.ts'
import type { Prefix } from '#core/protocol/work.ts'
import { drawTargets, purseId } from '#core/purse.ts'
import type { TaskRequest } from '#core/request.ts'
import { headOf, partsOf, restore } from '#core/snapshot.ts'
import type { Task } from '#core/task.ts'
import { makeTaskId } from '#core/task-id.ts'
import { leasesAfter } from '#core/views.ts'
import { type Agenda, after, at } from './agenda.ts'
import { type Auditor, auditAll, auditCall, auditResults } from './auditor.ts'

export const CELL = 'c1'
const DEPOSIT = 1_000_000n * ONE_TOKEN
/** How long a room takes to say what a stream delivered. */
const ROOM_MS = 5
/** Ended tasks stay in memory for so long before they are archived. */
const ARCHIVE_MS = 10_000

/** A provider's socket. Each side may think that it is open while the other knows better. */
export type Link = {
  provider: Address
  atEdge: boolean
  /** The highest lease it was told of. */
  sent: number
  tell: (answer: PollAnswer) => void
  /** Its other side learns that it is closed. */
  closed: () => void
}

export type Edge = {
  agenda: Agenda
  auditor: Auditor
  book: Book
  accounts: Map<Address, Account>
  links: Map<Address, Link[]>
  up: boolean
  /** What its clock is ahead of the world's, ms. */
  skew: number
  alarmAt: number
  archivedAt: number
  made: number
  /** What a room has of the stream of an attempt. */
  delivered: (lease: string) => Prefix
  taskEnded: (task: Task) => void
}

export function createEdge(agenda: Agenda, auditor: Auditor, hooks: Pick<Edge, 'delivered' | 'taskEnded'>): Edge {
  return {
    agenda,
    auditor,
    book: createBook(CELL),
    accounts: new Map(),
    links: new Map(),
    up: true,
    skew: 0,
    alarmAt: Number.POSITIVE_INFINITY,
    archivedAt: agenda.now,
    made: 0,
    ...hooks,
  }
}

export const clockOf = ({ agenda, skew }: Edge): number => agenda.now + skew

/* Requesters */

/** Submits tasks; what the market refuses is thrown as its DomainError. @returns their ids */
export function takeTasks(edge: Edge, requester: Address, requests: TaskRequest[]): string[] {
  const { book } = edge
  const now = clockOf(edge)
  const purse = purseId(requester, SESSION_KEY)
  const newId = (createdAt: number) => makeTaskId(CELL, createdAt, (edge.made++).toString(36).padStart(10, '0'))
  let result = submit(book, { requester, purse, requests, newId }, now)
  if ('short' in result) {
    draw(edge, requester, result.short)
    result = submit(book, { requester, purse, requests, newId }, now)
  }
  publish(edge)
  return 'short' in result ? [] : result.tasks.map(({ spec }) => spec.id)
}

function draw(edge: Edge, requester: Address, short: bigint): void {
  const { book, accounts } = edge
  const now = clockOf(edge)
  const account = accounts.get(requester) ?? newAccount(now)
  accounts.set(requester, account)
  const purse = purseOf(book, purseId(requester, SESSION_KEY))
  const total = grantDraw(account, { cell: CELL, key: SESSION_KEY, ...drawTargets(purse, short) }, now)
  applyToAccount(account, { type: 'drew', at: now, cell: CELL, key: SESSION_KEY, total })
  record(book, { type: 'drew', at: now, purse: purse.id, total })
}

function newAccount(now: number): Account {
  const account = createAccount()
  applyToAccount(account, { type: 'deposited', at: now, amount: DEPOSIT, source: 'faucet' })
  return account
}

export function cancelTask(edge: Edge, id: string): void {
  cancel(edge.book, id, clockOf(edge))
  publish(edge)
}

/* Providers */

export function registerProvider(edge: Edge, provider: Address, registration: Register): void {
  register(edge.book, provider, registration, clockOf(edge))
  publish(edge)
}

export function openLink(edge: Edge, link: Link): void {
  link.atEdge = true
  const links = edge.links.get(link.provider) ?? []
  edge.links.set(link.provider, links)
  links.push(link)
}

/** The edge learns that a socket is closed. */
export function closeLink(edge: Edge, link: Link): void {
  if (!link.atEdge) return
  link.atEdge = false
  const left = edge.links.get(link.provider)!.filter((other) => other !== link)
  edge.links.set(link.provider, left)
  const provider = edge.book.providers.get(link.provider)
  if (!provider || left.length > 0) return
  const now = clockOf(edge)
  provider.heardAt = now
  disconnect(edge.book, provider)
  expireSoon(edge.book, provider, now)
  tick(edge.book, now)
  publish(edge)
}

/** A frame came over a socket. */
export function takeFrame(edge: Edge, link: Link, frame: Omit<Poll, 'waitSeconds'>): void {
  const provider = edge.book.providers.get(link.provider)
  if (!edge.up || !link.atEdge || !provider) return
  const receipts = poll(edge.book, provider, frame, clockOf(edge))
  provider.reachable = true
  auditResults(edge.auditor, link.provider, frame.results, receipts)
  link.sent = provider.lastSeq
  publish(edge)
  const leases = leasesAfter(edge.book, provider, frame.seen)
  const { revoked } = provider
  provider.revoked = []
  link.sent = provider.lastSeq
  link.tell({ leases, results: receipts, revoked, now: clockOf(edge) })
}

/* What the platform does for a market */

/** Audits and forgets what was written down, and tells those it concerns. */
function publish(edge: Edge): void {
  const { book, auditor } = edge
  const { ended, changed, providers } = book.news
  auditCall(auditor, book)
  book.log.length = 0
  book.news = { ended: [], changed: [], providers: new Set() }
  for (const { spec, state } of changed) if (state.is === 'sealing') askRoom(edge, spec.id, state.attempt)
  for (const task of ended) edge.taskEnded(task)
  for (const address of providers) tell(edge, address)
  archive(edge)
  arm(edge)
}

function askRoom(edge: Edge, id: string, attempt: number): void {
  after(edge.agenda, ROOM_MS, () => {
    if (!edge.up || !edge.book.sealing.has(id)) return
    const delivered = edge.delivered(`${id}.${attempt}`)
    sealed(edge.book, id, attempt, delivered, clockOf(edge))
    publish(edge)
  })
}

function tell(edge: Edge, address: Address): void {
  const provider = edge.book.providers.get(address)!
  for (const link of edge.links.get(address) ?? []) {
    if (provider.lastSeq <= link.sent && provider.revoked.length === 0) continue
    const leases = leasesAfter(edge.book, provider, link.sent)
    const { revoked } = provider
    provider.revoked = []
    link.sent = provider.lastSeq
    link.tell({ leases, results: [], revoked, now: clockOf(edge) })
  }
}

/** Late results of what has been archived are answered from elsewhere: for the book it is gone. */
function archive(edge: Edge): void {
  if (edge.agenda.now - edge.archivedAt < ARCHIVE_MS) return
  edge.archivedAt = edge.agenda.now
  edge.book.ended.clear()
}

/** One alarm for whatever comes first. */
function arm(edge: Edge): void {
  const due = nextDue(edge.book)
  if (due === null) return
  const time = Math.max(due - edge.skew, edge.agenda.now)
  if (time >= edge.alarmAt) return
  edge.alarmAt = time
  at(edge.agenda, time, () => {
    if (edge.alarmAt !== time) return
    edge.alarmAt = Number.POSITIVE_INFINITY
    if (!edge.up) return
    tick(edge.book, clockOf(edge))
    publish(edge)
  })
}

/* Faults of the edge */

/** The market is gone, and with it all connections; what was written down stays. */
export function goDown(edge: Edge): void {
  edge.up = false
  const links = [...edge.links.values()].flat()
  edge.links.clear()
  for (const link of links) {
    link.atEdge = false
    link.closed()
  }
}

/** The market is read back from what was written down whole, as after any sleep. */
export function comeBack(edge: Edge): void {
  const written = structuredClone({ head: headOf(edge.book), parts: [...partsOf(edge.book)] })
  const now = clockOf(edge)
  edge.book = restore(written.head, written.parts, now)
  edge.up = true
  edge.alarmAt = Number.POSITIVE_INFINITY
  pardon(edge.book, now)
  for (const { task } of edge.book.tasks.values()) {
    if (task.state.is === 'sealing') askRoom(edge, task.spec.id, task.state.attempt)
  }
  publish(edge)
  auditAll(edge.auditor, edge.book, now)
}

/** Its clock is set. */
export function setClock(edge: Edge, skew: number): void {
  edge.skew = skew
  edge.alarmAt = Number.POSITIVE_INFINITY
  arm(edge)
}
