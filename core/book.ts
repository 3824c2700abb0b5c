/**
 * The book of one market: its open tasks, providers and purses, with the indexes over them.
 * Everything that lasts changes only through `record`: the event is applied and logged, and applying the same events to the
 * same book gives the same book, which is how a market recovers. What is soft (who is connected, when a lease expires) is set directly.
 */
import { lotOf } from './assurance.ts'
import { currentAttempt, deliverersOf, leasedAttempts, triesOf } from './attempts.ts'
import type { Backlog } from './backlog.ts'
import { bitsOf } from './capability.ts'
import { addCharge, type Charges } from './charges.ts'
import { createDecisions, type Decisions, noteDecision } from './decision.ts'
import { addDeviceEarnings, type DeviceEarnings } from './device-earnings.ts'
import { advance, createFairness, type Fairness, stamp } from './fairness.ts'
import { createGrants, type Grants, noteGrant } from './grants.ts'
import type { Accepted } from './idempotency.ts'
import type { SeenLane } from './lane.ts'
import { backoffMs, GRACE_MS, LEASE_MS, leaseId } from './lease.ts'
import {
  type Ask,
  addSupply,
  addWant,
  bestNewcomer,
  bestSupply,
  bestWant,
  classOf,
  createMatching,
  hurryWant,
  type Match,
  type Matching,
  noteModel,
  removeSupply,
  removeWant,
  type Supply,
  setReputation,
  setRoom,
  supplyMatch,
  type Want,
} from './matching.ts'
import { type Measured, measure } from './measured.ts'
import { parseAmount, splitFee } from './money.ts'
import { createOccupancy, type Occupancy, occupy } from './occupancy.ts'
import {
  createIndex,
  emptyTree,
  first,
  insert,
  leastKey,
  type OrderedIndex,
  remove,
  type Tree,
} from './ordered-index.ts'
import { closeBin, noteEnded, noteGranted, noteSubmitted, type Outlook, type Supplies } from './outlook.ts'
import type { Page } from './pages.ts'
import type { Rule } from './protocol/decision.ts'
import type { LaneClosing } from './protocol/lane-closing.ts'
import type { Offer, Register } from './protocol/provider.ts'
import type { Address } from './protocol/values.ts'
import { laneOf, newPurse, type Purse } from './purse.ts'
import { hope, NEWCOMER, type Outcome, observe, type Reputation, score } from './reputation.ts'
import { firstLook, secondFor } from './speculation.ts'
import { countEnded, countGranted, countPaid, countSubmitted, createStats, refreshLatest, type Stats } from './stats.ts'
import {
  bytesOf,
  type Effect,
  held,
  isOver,
  newTask,
  paid,
  type Refusal,
  type Task,
  type TaskEvent,
  type TaskSpec,
  transition,
} from './task.ts'
import { parseTaskId } from './task-id.ts'
import { lookAt, noteTurn, turnAtRisk } from './urgency.ts'
import { drawVerifier } from './verifier.ts'

/** What lasts. Amounts are bigint; core/journal.ts writes them down. */
export type BookEvent =
  | { type: 'registered'; at: number; address: Address; registration: Register }
  | { type: 'submitted'; at: number; spec: TaskSpec }
  | { type: 'task'; at: number; id: string; event: TaskEvent }
  /** These tasks, submitted just before, were asked for under an idempotency key. */
  | { type: 'keyed'; at: number; key: string; body: string; tasks: string[] }
  /** The account is about to be asked to grant this purse more. */
  | { type: 'drawing'; at: number; purse: string }
  /** The account granted this purse `total` in all; `drawing` when further answers are awaited. */
  | { type: 'drew'; at: number; purse: string; total: bigint; drawing?: boolean }
  /** The purse has given `total` in all back to its account. */
  | { type: 'restored'; at: number; purse: string; total: bigint }
  /** The requester of a lane has signed for `ceiling` in all. None that was written down earlier says how the lane was seen. */
  | { type: 'vouched'; at: number; purse: string; ceiling: bigint; signature: `0x${string}`; seen?: SeenLane }
  /** The requester of a lane wants it closed, or its provider has signed that it is. */
  | { type: 'closing'; at: number; purse: string; signed: LaneClosing | null }
  /** The deadline of a task that waits is at risk: it has this turn besides its own. */
  | { type: 'hurried'; at: number; id: string; turn: number }
  /** Ten minutes are over, and these slots are there; see core/outlook.ts. */
  | { type: 'binned'; at: number; supplies?: Supplies }

export type OpenTask = {
  task: Task
  want: Want
  /** The task's deadline, later than asked for only when the market itself was away. */
  deadline: number
  /** The time under which it stands among the due times. */
  due: number | null
  /** The turn it has since its deadline is at risk. */
  turn?: number
  /** Where it is written as it waits. */
  page: Page | null
}

const NOBODY: readonly Address[] = []

/**
 * `brokeOff`: the socket that carried its output closed unasked, and nothing was heard since. `checkAt`: when it is to be seen whether it is
 * late; not there in what was written before anybody looked.
 */
type HeldLease = {
  seq: number
  task: string
  attempt: number
  expiresAt: number
  brokeOff?: boolean
  checkAt?: number
}

export type Provider = {
  supply: Supply
  registration: Register
  registeredAt: number
  leases: Map<string, HeldLease>
  /** Leases it must be told to stop, until its next poll has been answered. */
  revoked: string[]
  lastSeq: number
  /** By class, in the order in which anything came to be known of it there. */
  reputations: Map<string, Reputation>
  succeeded: number
  failed: number
  earned: bigint
  /** Of that, as far as it is known. */
  byDevice: DeviceEarnings
  /** What its account has acknowledged of `earned`. */
  credited: bigint
  /** Sum of the prices of its work; see core/charges.ts for who was charged what of it. */
  charged: bigint
  charges: Charges
  /** Purses of the lanes that it is asked to close. */
  closing?: Set<string>
  /** Can be handed work unasked: it waits in a long poll or holds a socket. */
  reachable: boolean
  heardAt: number
}

export type Book = {
  cell: string
  /** Those in memory; see `openOf`. */
  tasks: Map<string, OpenTask>
  /** By number, those where tasks are written that wait; and of these, those whose tasks are not in memory. */
  pages: Map<number, Page>
  unread: Set<Page>
  /** Of all open tasks; bytes are those of their inputs and prefixes. */
  occupancy: Occupancy
  /** Streams whose rooms must be asked what an ended attempt delivered. */
  sealing: Set<string>
  /** Open tasks with results that others must agree with. */
  verifying: Set<string>
  providers: Map<Address, Provider>
  purses: Map<string, Purse>
  /** Classes that any provider has ever offered. */
  classes: Set<string>
  measured: Map<string, Measured>
  /** By class. */
  outlooks: Map<string, Outlook>
  /** Since when the outlooks count. */
  binFrom: number | null
  matching: Matching
  fairness: Fairness
  /** By requester, the turn after that of its latest task that was at risk. */
  hurried: Map<Address, number>
  due: OrderedIndex<OpenTask | Page>
  dueTree: Tree
  lastTask: number
  fees: bigint
  stats: Stats
  /** Ended tasks that are not archived yet. */
  ended: Map<string, Task>
  /** What was accepted under idempotency keys, by the key's digest, until it is archived. */
  keys: Map<string, Accepted>
  /** The last tasks that were given out, for providers that ask why; soft. */
  grants: Grants
  /** By class, as far as anybody asked; soft. */
  backlogs: Map<string, Backlog>
  /** The last decisions, with what they were made by; soft. */
  decisions: Decisions
  /** Events not yet written down, oldest first. */
  log: BookEvent[]
  /** What the shell must tell somebody about since it last looked. */
  news: { ended: Task[]; changed: Task[]; providers: Set<Address> }
}

export function createBook(cell: string): Book {
  return {
    cell,
    tasks: new Map(),
    pages: new Map(),
    unread: new Set(),
    occupancy: createOccupancy(),
    sealing: new Set(),
    verifying: new Set(),
    providers: new Map(),
    purses: new Map(),
    classes: new Set(),
    measured: new Map(),
    outlooks: new Map(),
    binFrom: null,
    matching: createMatching(),
    fairness: createFairness(),
    hurried: new Map(),
    due: createIndex(),
    dueTree: emptyTree(),
    lastTask: 0,
    fees: 0n,
    stats: createStats(),
    ended: new Map(),
    keys: new Map(),
    grants: createGrants(),
    backlogs: new Map(),
    decisions: createDecisions(),
    log: [],
    news: { ended: [], changed: [], providers: new Set() },
  }
}

/** Applies an event and logs it. */
export function record(book: Book, event: BookEvent): Refusal | null {
  const before = event.type === 'task' ? openOf(book, event.id)?.task : undefined
  const refused = apply(book, event)
  if (refused !== null) return refused
  book.log.push(event)
  // Whom the end of a task bore out may now be good enough for what waits.
  if (before?.deliveries && !book.tasks.has(before.spec.id)) {
    for (const address of deliverersOf(before)) fill(book, book.providers.get(address)!, event.at)
  }
  return null
}

/** Applies an event without logging it: recovery, and the soft `started`. A refused event changes nothing. */
export function apply(book: Book, event: BookEvent): Refusal | null {
  switch (event.type) {
    case 'registered':
      register(book, event.address, event.registration, event.at)
      return null
    case 'submitted':
      submit(book, event.spec)
      return null
    case 'keyed': {
      const { key, body, tasks, at } = event
      book.keys.set(key, { body, tasks, at })
      return null
    }
    case 'task':
      return applyToTask(book, event.id, event.event, event.at)
    case 'drawing':
      purseOf(book, event.purse).drawing = true
      return null
    case 'drew': {
      const purse = purseOf(book, event.purse)
      purse.drawing = event.drawing ?? false
      if (event.total > purse.drawn) purse.drawn = event.total
      return null
    }
    case 'restored': {
      const purse = purseOf(book, event.purse)
      if (event.total > purse.restored) purse.restored = event.total
      return null
    }
    case 'vouched': {
      const purse = purseOf(book, event.purse)
      const { ceiling, signature, seen } = event
      if (ceiling > purse.drawn) Object.assign(purse, { drawn: ceiling, signature, ...(seen && { seen }) })
      return null
    }
    case 'closing': {
      const { purse: id, signed } = event
      purseOf(book, id).closing = { signed }
      const provider = book.providers.get(laneOf(id)!.provider)!
      provider.closing ??= new Set()
      if (signed) provider.closing.delete(id)
      else provider.closing.add(id)
      return null
    }
    case 'hurried': {
      const open = openOf(book, event.id)!
      open.turn = event.turn
      leavePage(open)
      noteTurn(book, open.want, event.turn)
      hurryWant(book.matching, open.want, event.turn)
      return null
    }
    case 'binned':
      closeBin(book, event.at, event.supplies)
      return null
  }
}

export function purseOf(book: Book, id: string): Purse {
  const purse = book.purses.get(id) ?? newPurse(id)
  book.purses.set(id, purse)
  return purse
}

/** The earliest time at which `tick` has something to do, or null. */
export const nextDue = (book: Book): number | null => leastKey(book.due, book.dueTree)

/** Of a step over the book so many tasks are looked at for the time's sake, lest nobody is answered while 100,000 leases end at once. */
export const MOST_DUE = 1_000

/**
 * What time alone brings about: leases lost, tasks expired, retries ready for the provider that failed them. What is more than one step
 * may take stays due, first of all at the next.
 */
export function tick(book: Book, now: number): void {
  let left = MOST_DUE
  for (let due = nextDue(book); due !== null && due <= now && left > 0; due = nextDue(book)) {
    const open = book.due.items[first(book.due, book.dueTree, 0, 0, 1, () => true)]!
    if ('read' in open) {
      open.read()
      left -= open.tasks!.length
      continue
    }
    left--
    const { spec } = open.task
    // A lease that was renewed stands here too early; what is due first must happen first.
    if (dueOf(book, open, due - 1) > due) schedule(book, open, due - 1)
    else if (now >= open.deadline) record(book, { type: 'task', at: now, id: spec.id, event: { type: 'expired' } })
    else if (!loseLeases(book, open, now)) {
      const second = secondFor(book, open, now)
      if (second) grant(book, open, second, 'late', now)
      const turn = open.want.queued && open.turn === undefined ? turnAtRisk(book, spec, open.want.tag, now) : null
      if (turn !== null) record(book, { type: 'hurried', at: now, id: spec.id, turn })
      schedule(book, open, now)
    }
    if (open.task.state.is === 'queued') place(book, open, now)
  }
}

/** @returns whether any lease of the task is over */
function loseLeases(book: Book, open: OpenTask, now: number): boolean {
  const over = leasesOf(book, open).filter(({ expiresAt }) => now >= expiresAt)
  for (const { attempt } of over)
    record(book, { type: 'task', at: now, id: open.task.spec.id, event: { type: 'lost', attempt } })
  return over.length > 0
}

/** Gives a queued task to the best provider that waits for work, or whom was drawn for it; false when none may run it now. */
export function place(book: Book, open: OpenTask, now: number): boolean {
  const choice = choose(book, open, now)
  if (choice) grant(book, open, choice.match, choice.rule, now)
  return choice !== null
}

type Choice = { match: Match; rule: Rule }

function choose(book: Book, open: OpenTask, now: number): Choice | null {
  const { task, want } = open
  if (task.deliveries) return by('lot', verifierOf(book, open, now))
  if (want.only !== undefined) return by('lane', ownLane(book, want, want.only, now))
  const best = bestSupply(book.matching, want, now)
  // A best that is new itself is trial enough.
  const newcomer = best?.offer.hope === null && isTrial(want.seq) && bestNewcomer(book.matching, want, best, now)
  return newcomer ? by('trial', newcomer) : by('merit', best)
}

const by = (rule: Rule, match: Match | null): Choice | null => match && { match, rule }

/** One task in so many tries a newcomer, where there is one that may be as good as the best. */
const TRIALS = 16

/** By the number of the task, well mixed, so that nobody's tasks are tried more often than others'. */
const isTrial = (seq: number): boolean => lotOf(0, seq) < 1 / TRIALS

/** Draws who gives the next result, and keeps the task for it for a while when it is busy. */
function verifierOf(book: Book, open: OpenTask, now: number): Match | null {
  const { task, want } = open
  if (want.drawn !== null && now < want.drawn.until) return null
  want.drawn = null
  // Who holds a lease is there, and has room again when it is done.
  const isBusy = ({ address }: Supply) => book.providers.get(address)!.leases.size > 0
  const match = drawVerifier(book.matching, want, lotOf(task.spec.lot ?? 0, now), isBusy, now)
  if (match === null || match.supply.room > 0) return match
  want.drawn = { address: match.supply.address, until: now + DRAWN_MS }
  schedule(book, open, now)
  return null
}

/** After so long another is drawn. */
const DRAWN_MS = 4 * LEASE_MS

function ownLane(book: Book, want: Want, only: Address, now: number): Match | null {
  const provider = book.providers.get(only)
  return provider ? supplyMatch(want, provider.supply, now) : null
}

/** Gives a provider the tasks it should take, as many as it has room for. */
export function fill(book: Book, provider: Provider, now: number): void {
  while (provider.supply.room > 0) {
    const match = bestWant(book.matching, provider.supply, now)
    if (!match) return
    const open = book.tasks.get(match.want.id)!
    // Who comes first must not be who checks: those who may were not there when it was to be drawn, or the draw was forgotten.
    if (open.task.deliveries && !match.want.drawn) place(book, open, now)
    else grant(book, open, match, match.want.drawn ? 'lot' : 'turn', now)
  }
}

/** Nobody can hand the provider work until it is heard of again. */
export function disconnect(book: Book, provider: Provider): void {
  provider.reachable = false
  setRoom(book.matching, provider.supply, 0)
}

/**
 * After the market itself was away: nobody pays for its absence. Every lease gets its full time again, and no task that is
 * being worked on expires before that.
 */
export function pardon(book: Book, now: number): void {
  for (const { leases } of book.providers.values()) {
    for (const lease of leases.values()) {
      const open = book.tasks.get(lease.task)!
      lease.expiresAt = Math.max(lease.expiresAt, now + LEASE_MS)
      open.deadline = Math.max(open.deadline, lease.expiresAt)
      schedule(book, open, now)
    }
  }
}

/** A provider vanished: its leases wait a moment for it to come back, and those whose output broke off too do not. */
export function expireSoon(book: Book, provider: Provider, now: number): void {
  for (const lease of provider.leases.values()) {
    lease.expiresAt = Math.min(lease.expiresAt, lease.brokeOff ? now : now + GRACE_MS)
    schedule(book, book.tasks.get(lease.task)!, now)
  }
}

/** The output of a stream broke off: its lease is given on at once if its provider has vanished, or when it does. */
export function breakOff(book: Book, id: string, attempt: number, now: number): void {
  const open = book.tasks.get(id)
  const lease = open && leaseOf(book, open)
  if (!lease || lease.attempt !== attempt) return
  lease.brokeOff = true
  if (lease.expiresAt > now + GRACE_MS) return
  lease.expiresAt = now
  schedule(book, open, now)
}

/** The leases under which a task runs, the latest first. */
export function leasesOf({ providers }: Book, { task }: OpenTask): HeldLease[] {
  const held: HeldLease[] = []
  for (const attempt of leasedAttempts(task)) {
    const lease = providers.get(task.attempts[attempt - 1]!.provider)?.leases.get(leaseId(task.spec.id, attempt))
    if (lease) held.push(lease)
  }
  return held
}

/** The latest of them. */
export const leaseOf = (book: Book, open: OpenTask): HeldLease | undefined => leasesOf(book, open)[0]

function register(book: Book, address: Address, registration: Register, at: number): void {
  const known = book.providers.get(address)
  const reputations = known?.reputations ?? new Map()
  const offers = asksOf(registration, reputations, null)
  for (const { kind, model } of offers) book.classes.add(`${kind} ${model}`)
  const supply: Supply = {
    seq: known?.supply.seq ?? book.providers.size + 1,
    address,
    region: registration.region ?? null,
    offers,
    room: 0,
    places: [],
    loaded: null,
    streak: 0,
  }
  if (known) {
    removeSupply(book.matching, known.supply)
    addSupply(book.matching, supply)
    Object.assign(known, { supply, registration, heardAt: at, reachable: false })
    return
  }
  addProvider(book, {
    supply,
    registration,
    registeredAt: at,
    leases: new Map(),
    revoked: [],
    lastSeq: 0,
    reputations,
    succeeded: 0,
    failed: 0,
    earned: 0n,
    byDevice: new Map(),
    credited: 0n,
    charged: 0n,
    charges: new Map(),
    reachable: false,
    heardAt: at,
  })
}

/** A provider's offers as matching sees them. */
export function asksOf({ offers }: Register, reputations: Provider['reputations'], loaded: Supply['loaded']): Ask[] {
  return offers.map((offer) => {
    const name = classOf(offer)
    return askOf(offer, reputations.get(name) ?? NEWCOMER, offers.length === 1 || name === loaded)
  })
}

function askOf(offer: Offer, known: Reputation, warm: boolean): Ask {
  const { kind, model, ask, speed, context, digest, quantization, capabilities } = offer
  return {
    kind,
    model,
    ask: parseAmount(ask),
    speed,
    context: context ?? 0,
    digest: digest ?? null,
    bits: (quantization === undefined ? null : bitsOf(quantization)) ?? 0,
    capabilities: capabilities ?? [],
    ...standing(known),
    warm,
  }
}

/** What matching goes by of a reputation. */
const standing = (known: Reputation): Pick<Ask, 'reputation' | 'hope'> => ({
  reputation: score(known),
  hope: hope(known),
})

/** Puts a provider into the book and lists its offers; also how a snapshot is read back. */
export function addProvider(book: Book, provider: Provider): void {
  book.providers.set(provider.supply.address, provider)
  addSupply(book.matching, provider.supply)
}

function submit(book: Book, spec: TaskSpec): void {
  book.lastTask = spec.seq
  const purse = purseOf(book, spec.purse)
  purse.held += held(spec)
  purse.usedAt = spec.createdAt
  const task = newTask(spec)
  const tag = stamp(book.fairness, spec.requester)
  const { want } = openTask(book, task, { tag }, spec.deadline, spec.createdAt)
  countSubmitted(book.stats, task)
  noteSubmitted(book, task, want)
}

/** What a task's place in its queue follows from: its fair-queueing tag, and its turn once its deadline is at risk. */
type Turns = { tag: number; turn?: number | undefined }

/** Puts a task into the book and its indexes; also how a snapshot is read back. */
export function openTask(book: Book, task: Task, { tag, turn }: Turns, deadline: number, now: number): OpenTask {
  const { spec } = task
  const want: Want = {
    id: spec.id,
    seq: spec.seq,
    requester: spec.requester,
    kind: spec.kind,
    model: spec.model,
    variant: spec.variant ?? null,
    bid: spec.bid,
    preference: spec.preference,
    minReputation: spec.minReputation,
    minContext: spec.minContext,
    region: spec.region,
    exclude: spec.exclude,
    only: laneOf(spec.purse)?.provider ?? spec.only,
    tag,
    deadline: spec.deadline,
    avoid: NOBODY,
    avoidUntil: 0,
    drawn: null,
    queued: false,
  }
  const open: OpenTask = { task, want, deadline, due: null, page: null }
  if (turn !== undefined) open.turn = turn
  book.tasks.set(spec.id, open)
  occupy(book.occupancy, spec.requester, 1, bytesOf(task))
  if (task.state.is === 'sealing') book.sealing.add(spec.id)
  if (task.deliveries) verify(book, open)
  if (task.state.is === 'queued') {
    avoidFailed(open)
    queue(book, open)
  }
  schedule(book, open, now)
  return open
}

function queue({ matching }: Book, { want, turn }: OpenTask): void {
  addWant(matching, want)
  if (turn !== undefined) hurryWant(matching, want, turn)
}

function grant(book: Book, open: OpenTask, match: Match, rule: Rule, now: number): void {
  const { supply, offer } = match
  noteGrant(book.grants, { want: open.want, supply, offer, rule, at: now })
  const decision = noteDecision(book, match, rule, now)
  const { ask, digest } = offer
  const given = { provider: supply.address, ask, ...(digest !== null && { digest }), ...(decision && { decision }) }
  const event: TaskEvent = { type: 'granted', ...given }
  record(book, { type: 'task', at: now, id: open.task.spec.id, event })
}

/** An open task, read from its page when it is not in memory. */
export function openOf(book: Book, id: string): OpenTask | undefined {
  const open = book.tasks.get(id)
  if (open || book.unread.size === 0 || book.ended.has(id)) return open
  const createdAt = parseTaskId(id)?.createdAt ?? Number.NaN
  for (const { entry, read } of [...book.unread]) {
    if (!(entry.from <= createdAt && createdAt <= entry.until)) continue
    read()
    if (book.tasks.has(id)) break
  }
  return book.tasks.get(id)
}

/** It no longer waits as it is written there. */
function leavePage(open: OpenTask): void {
  if (open.page === null) return
  open.page.changed = true
  open.page = null
}

function applyToTask(book: Book, id: string, event: TaskEvent, at: number): Refusal | null {
  const open = openOf(book, id)
  if (!open) {
    const ended = book.ended.get(id)
    if (!ended) return 'task_finished'
    const result = transition(ended, event, at)
    return 'refused' in result ? result.refused : 'task_finished'
  }
  const before = open.task
  const result = transition(before, event, at)
  if ('refused' in result) return result.refused
  open.task = result.task
  leavePage(open)
  const grown = bytesOf(open.task) - bytesOf(before)
  if (grown !== 0) occupy(book.occupancy, open.task.spec.requester, 0, grown)
  if (before.state.is === 'queued' && open.task.state.is !== 'queued') removeWant(book.matching, open.want)
  if (before.state.is === 'sealing' && open.task.state.is !== 'sealing') book.sealing.delete(id)
  if (open.task.deliveries !== before.deliveries) {
    verify(book, open)
    // An attempt that was lost and delivers after all was no failure.
    avoidFailed(open)
  }
  if (event.type === 'granted') granted(book, open, event.provider, at)
  for (const effect of result.effects) applyEffect(book, open, effect, at)
  refreshLatest(book.stats, open.task)
  if (isOver(open.task)) book.news.ended.push(open.task)
  else {
    schedule(book, open, at)
    book.news.changed.push(open.task)
  }
  return null
}

function granted(book: Book, open: OpenTask, address: Address, at: number): void {
  const provider = book.providers.get(address)!
  const { id } = open.task.spec
  const attempt = currentAttempt(open.task)
  const checkAt = firstLook(open.task, at)
  const lease = { seq: ++provider.lastSeq, task: id, attempt, expiresAt: at + LEASE_MS, checkAt }
  provider.leases.set(leaseId(id, attempt), lease)
  provider.supply.room--
  noteModel(book.matching, provider.supply, open.want)
  advance(book.fairness, open.turn ?? open.want.tag)
  book.news.providers.add(address)
  countGranted(book.stats, open.task)
  noteGranted(book, open.task)
}

function applyEffect(book: Book, open: OpenTask, effect: Effect, at: number): void {
  const { spec } = open.task
  switch (effect.type) {
    case 'queue':
      avoidFailed(open)
      open.want.drawn = null
      queue(book, open)
      return
    case 'seal':
      book.sealing.add(spec.id)
      return
    case 'release': {
      const provider = book.providers.get(effect.provider)!
      const id = leaseId(spec.id, effect.attempt)
      provider.leases.delete(id)
      if (!effect.revoke) return
      provider.revoked.push(id)
      book.news.providers.add(effect.provider)
      return
    }
    case 'capture': {
      const provider = book.providers.get(effect.provider)!
      const { earned, fee } = splitFee(effect.price)
      const purse = purseOf(book, spec.purse)
      purse.captured += effect.price
      purse.held -= effect.price
      provider.earned += earned
      if (effect.devices) addDeviceEarnings(provider, effect.devices, earned)
      provider.charged += effect.price
      addCharge(provider.charges, spec, effect.price, provider.charged)
      book.fees += fee
      countPaid(book.stats, effect.price, at)
      return
    }
    case 'score':
      rate(book, effect.provider, spec, effect.outcome, at)
      return
    case 'end':
      purseOf(book, spec.purse).held -= held(spec) - paid(open.task)
      unschedule(book, open)
      book.tasks.delete(spec.id)
      book.verifying.delete(spec.id)
      occupy(book.occupancy, spec.requester, -1, -bytesOf(open.task))
      book.ended.set(spec.id, open.task)
      countEnded(book.stats, open.task)
      measure(book.measured, open.task)
      noteEnded(book, open.task)
      return
  }
}

function rate(book: Book, address: Address, of: TaskSpec, outcome: Outcome, at: number): void {
  const provider = book.providers.get(address)!
  if (outcome === 'success') provider.succeeded++
  else provider.failed++
  const known = provider.reputations.get(classOf(of)) ?? NEWCOMER
  const reputation = observe(known, outcome, at)
  provider.reputations.set(classOf(of), reputation)
  const [was, is] = [standing(known), standing(reputation)]
  if (is.reputation !== was.reputation || is.hope !== was.hope) setReputation(book.matching, provider.supply, of, is)
}

/** Keeps a task that has results away from those who gave them; a text is written again by the same weights, or it would differ. */
function verify(book: Book, { task, want }: OpenTask): void {
  const { spec, attempts, deliveries } = task
  book.verifying.add(spec.id)
  want.exclude = [...spec.exclude, ...deliverersOf(task)]
  const digest = attempts[deliveries![0]!.attempt - 1]!.digest
  if (spec.kind !== 'llm.chat' || digest === undefined) return
  want.variant = { ...(spec.variant ?? { minBits: 0, capabilities: [] }), digest }
}

/** Keeps a task that failed away from the providers that failed it, for a while. */
function avoidFailed({ task, want }: OpenTask): void {
  const avoid: Address[] = []
  let lastEnd = 0
  for (const { provider, state } of task.attempts) {
    if (state.is === 'granted' || state.is === 'started') continue
    avoid.push(provider)
    lastEnd = state.at
  }
  if (avoid.length === 0) return
  want.avoid = avoid
  want.avoidUntil = lastEnd + backoffMs(triesOf(task))
}

/** When time alone changes the task next; never, once it only waits to be sealed before it ends. */
function dueOf(book: Book, open: OpenTask, now: number): number {
  const { deadline, want } = open
  const { state } = open.task
  if (state.is === 'queued') {
    const again = Math.min(...[want.avoidUntil, want.drawn?.until ?? 0].filter((time) => time > now))
    return Math.min(again, open.turn === undefined ? lookAt(book, open.task.spec, now) : deadline, deadline)
  }
  if (state.is === 'sealing' && state.next.is !== 'queued') return Number.POSITIVE_INFINITY
  const leases = leasesOf(book, open)
  const checkAt = leases.length === 1 ? (leases[0]!.checkAt ?? deadline) : deadline
  return Math.min(...leases.map(({ expiresAt }) => expiresAt), checkAt, deadline)
}

function schedule(book: Book, open: OpenTask, now: number): void {
  unschedule(book, open)
  const due = dueOf(book, open, now)
  if (due === Number.POSITIVE_INFINITY) return
  open.due = due
  insert(book.due, book.dueTree, open, { ...dueOrder(open, due), a: 0, b: 0, mask: 1 })
}

const dueOrder = (open: OpenTask, due: number) => ({ key0: due, key1: 0, key2: open.task.spec.seq })

function unschedule(book: Book, open: OpenTask): void {
  if (open.due !== null) remove(book.due, book.dueTree, dueOrder(open, open.due))
  open.due = null
}
