import { DurableObject } from 'cloudflare:workers'
import { blobsIn } from '#core/blob.ts'
import {
  type Book,
  breakOff,
  disconnect,
  expireSoon,
  nextDue,
  openOf,
  type Provider,
  pardon,
  record,
  tick,
} from '#core/book.ts'
import { type CellLoad, loadOf } from '#core/cells.ts'
import { lengthOf } from '#core/chat-joint.ts'
import { type CostView, costOf, type IsolateUsage, keepUsage, noUsages } from '#core/cost.ts'
import { latestDecisions } from '#core/decision.ts'
import { earningsOf } from '#core/device-earnings.ts'
import {
  isOwnedBy,
  type OwnProviders,
  ownProviders,
  providerList,
  providerView,
  rankedBefore,
} from '#core/directory.ts'
import { DomainError } from '#core/errors.ts'
import { forecastRecord } from '#core/forecast-record.ts'
import { isActive } from '#core/health.ts'
import { type Idempotency, tasksOfEarlier } from '#core/idempotency.ts'
import { isTooDeep } from '#core/json.ts'
import {
  believedLane,
  chargesWithVouchers,
  dueTo,
  lanePurse,
  type SeenLane,
  type Signed,
  signedFor,
} from '#core/lane.ts'
import { chooseLane } from '#core/lane-choice.ts'
import { askToClose, close, closingsOf, ownLanes } from '#core/lane-closing.ts'
import { LEASE_MS, parseLeaseId } from '#core/lease.ts'
import { cancel, poll, register, submit } from '#core/market.ts'
import { setRoom } from '#core/matching.ts'
import { formatAmount } from '#core/money.ts'
import { forecastView } from '#core/outlook-view.ts'
import type { TaskForecast } from '#core/protocol/forecast.ts'
import type { LaneClosing, OwnLane } from '#core/protocol/lane-closing.ts'
import { type EdgeFrame, type Poll, type PollAnswer, ProviderFrame, type ResultReceipt } from '#core/protocol/lease.ts'
import type { TaskSummary } from '#core/protocol/network.ts'
import type { Earnings, Register, Why } from '#core/protocol/provider.ts'
import type { Quote } from '#core/protocol/quote.ts'
import type { TaskView } from '#core/protocol/task.ts'
import type { Address } from '#core/protocol/values.ts'
import type { Kind } from '#core/protocol/work.ts'
import { laneKey, purseId } from '#core/purse.ts'
import { quote } from '#core/quote.ts'
import { decodeRequests, type TaskRequest } from '#core/request.ts'
import type { Task } from '#core/task.ts'
import { taskForecast } from '#core/task-forecast.ts'
import { isOf, liveSummaries, summaryOfRecord, type Whose } from '#core/task-list.ts'
import { booksOf, leasesAfter, modelsOf, networkSnapshot, pursesOf, reputationsOf, taskView } from '#core/views.ts'
import { why } from '#core/why.ts'
import { type Env, type Network, networkOf } from '../env.ts'
import type { Call, CallAnswer, Exchange } from '../line.ts'
import { logError } from '../log.ts'
import { ALARM_MS, nextSignal } from '../outbox.ts'
import { fromJson, type Json, type Outcome, outcomeOf, toJson } from '../outcome.ts'
import { drawLot, newTaskId } from '../random.ts'
import { countEnded, used } from '../usage.ts'
import { deliver, hold, type Mailboxes, mailboxOf, put, take } from './mailbox.ts'
import { createEffects, historyTask, type MarketEffects } from './market-effects.ts'
import {
  type ArchivedTask,
  archived,
  findArchived,
  findKey,
  loadMarket,
  type MarketStore,
  unexported,
  writeMarket,
} from './market-store.ts'
import type { Start } from './output-log.ts'
import { openPresence, type Presence } from './presence.ts'
import { createWaiters, rouse, taskEnded, type Waiters, whenEnded, whenRoused } from './waiters.ts'

/** With this many tasks open, calls are worth a moment's wait for others to share their journal row. */
const GROUP_FROM = 4
const GROUP_MS = 2
/** An alarm that is so late was lost, and is set again on the next wake. */
const LOST_MS = 5_000
/** How long a call that cancels a stream waits to tell what it came to. */
const SEAL_WAIT_MS = 5_000

/** Where the answer to a call goes; `done` takes the value as JSON. */
type Reply = { done: (json: string) => void; failed: (error: unknown) => void }

/** What a provider's socket remembers while the market sleeps. */
type Session = { address: Address; free: number; seen: number; sent: number }

/** One cell of the market: the only writer of its tasks' states. Thin: the rules are in core/market.ts and core/book.ts. */
export class Market extends DurableObject<Env> {
  private readonly network: Network
  private readonly store: MarketStore
  private readonly book: Book
  private readonly effects: MarketEffects
  private readonly presence: Presence
  private readonly waiters: Waiters = createWaiters(() => this.publish())
  private readonly mailboxes: Mailboxes = new Map()
  private readonly usages = noUsages()
  /** Names this life of the object: what it holds in memory ends with it. */
  private readonly epoch = crypto.randomUUID()
  private flushed: Promise<void> | null = null
  private alarmAt: number | null = null

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.network = networkOf(env)
    this.store = loadMarket(ctx.storage, ctx.id.name!, Date.now())
    this.book = this.store.book
    this.effects = createEffects(this.store, this.network)
    this.presence = openPresence(ctx.storage)
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('ping', 'pong'))
    for (const socket of ctx.getWebSockets()) this.resume(socket)
    pardon(this.book, Date.now())
    this.arm()
  }

  /** Takes an isolate's calls, or, when there are none, waits for answers to earlier ones. See worker/line.ts. */
  async exchange(isolate: string, calls: Call[]): Promise<Exchange> {
    const box = mailboxOf(this.mailboxes, isolate, Date.now())
    if (calls.length === 0) await hold(box)
    else {
      for (const call of calls) this.take(call, (answer) => put(box, answer))
      this.write()
    }
    const exchange = { epoch: this.epoch, answers: take(box) }
    deliver(this.mailboxes, Date.now())
    return exchange
  }

  private take(call: Call, answer: (answer: CallAnswer) => void): void {
    const { id } = call
    const to: Reply = {
      done: (text) => answer({ id, ok: true, text }),
      failed: (error) => answer({ id, ok: false, text: errorText(error) }),
    }
    try {
      switch (call.method) {
        case 'submit':
          this.submit(to, ...call.args)
          break
        case 'read':
          this.read(to, ...call.args)
          break
        case 'cancel':
          this.cancel(to, ...call.args)
          break
        case 'poll':
          this.poll(to, ...call.args)
          break
      }
    } catch (error) {
      to.failed(error)
    }
  }

  /* Requesters */

  private submit(
    { done, failed }: Reply,
    who: Address,
    key: string,
    encoded: string,
    waitMs: number,
    idempotency?: Idempotency,
  ): void {
    const requests = decodeRequests(encoded)
    for (const request of requests) if (request.assurance) request.lot = drawLot()
    const newId = (at: number) => newTaskId(this.book.cell, at, this.book.occupancy.tasks)
    const submission = { requester: who, purse: purseId(who, key), requests, newId, idempotency }
    const tryOnce = (): void => {
      const earlier = idempotency && this.submittedEarlier(idempotency)
      if (earlier) {
        this.repeat({ done, failed }, who, earlier, waitMs)
        return
      }
      const result = submit(this.book, submission, Date.now())
      if ('short' in result) {
        // Others may spend what was drawn for this one, so it tries until the account refuses.
        this.effects
          .draw(submission.purse, result.short)
          .then(tryOnce)
          .catch(failed)
          .then(() => this.publish())
        return
      }
      const answer = (tasks: Task[]) => done(toJson(tasks.map(taskView)))
      if (waitMs <= 0) {
        answer(result.tasks)
        return
      }
      const ids = result.tasks.map(({ spec }) => spec.id)
      whenEnded(this.waiters, ids, Date.now() + waitMs, (ended) =>
        answer(result.tasks.map((task) => ended.get(task.spec.id) ?? openOf(this.book, task.spec.id)?.task ?? task)),
      )
    }
    tryOnce()
  }

  private submittedEarlier(idempotency: Idempotency): string[] | null {
    return tasksOfEarlier(findKey(this.store, idempotency.key, Date.now()), idempotency, Date.now())
  }

  /** Answers a submission that was accepted before with its tasks as they stand, or as they have ended after a while. */
  private repeat({ done, failed }: Reply, who: Address, ids: string[], waitMs: number): void {
    const answer = () => {
      const archived = findArchived(
        this.store,
        ids.filter((id) => !this.inMemory(id)),
      )
      const found = ids.map((id) => this.inMemory(id) ?? archived.get(id))
      if (found.some((task) => task?.requester !== who)) failed(new DomainError('task_not_found'))
      else done(toJson(found.map((task) => task!.view)))
    }
    const open = ids.filter((id) => this.isOpen(id))
    if (waitMs <= 0 || open.length === 0) answer()
    else whenEnded(this.waiters, open, Date.now() + waitMs, answer)
  }

  private read({ done, failed }: Reply, who: Address, id: string, waitMs: number): void {
    const view = this.owned(who, id)
    if (waitMs <= 0 || !this.isOpen(id)) {
      done(toJson(view))
      return
    }
    whenEnded(this.waiters, [id], Date.now() + waitMs, () => {
      try {
        done(toJson(this.owned(who, id)))
      } catch (error) {
        failed(error)
      }
    })
  }

  private cancel({ done }: Reply, who: Address, id: string): void {
    this.owned(who, id)
    cancel(this.book, id, Date.now())
    // A stream ends when its room has told what was delivered.
    const answer = () => done(toJson(this.owned(who, id)))
    if (this.isOpen(id)) whenEnded(this.waiters, [id], Date.now() + SEAL_WAIT_MS, answer)
    else answer()
  }

  quote(requester: Address, request: TaskRequest): Quote {
    return quote(this.book, requester, request, Date.now())
  }

  /** A task of the requester's with what its receipt is made of. */
  task(requester: Address, id: string): Promise<Outcome<Json<ArchivedTask>>> {
    return outcomeOf(() => toJson(this.ownedTask(requester, id)))
  }

  /** For the room of a task: how it stands, and from now on every change. */
  watch(id: string): TaskView | null {
    if (this.isOpen(id)) this.effects.watched.add(id)
    return this.lookUp(id)?.view ?? null
  }

  /* Providers */

  register(address: Address, registration: Register): { cell: string; leaseSeconds: number } {
    register(this.book, address, registration, Date.now())
    this.effects.touch()
    this.publish()
    return { cell: this.book.cell, leaseSeconds: LEASE_MS / 1000 }
  }

  private poll({ done }: Reply, who: Address, json: Json<Poll>): void {
    const provider = this.registered(who)
    const call = fromJson(json)
    // An earlier poll that still waits ends here: the provider is asking again.
    rouse(this.waiters, who)
    const results = this.acknowledged(who, poll(this.book, provider, call, Date.now()))
    const answer = () => {
      disconnect(this.book, provider)
      done(toJson({ ...this.answer(provider, call.seen), results, ...markOf(call) }))
    }
    const news = provider.revoked.length > 0 || hasLeasesAfter(provider, call.seen)
    if (news || call.waitSeconds <= 0 || results.some(({ accepted }) => !accepted)) {
      answer()
      return
    }
    provider.reachable = true
    whenRoused(this.waiters, who, Date.now() + call.waitSeconds * 1000, answer)
  }

  /** A result whose answer was lost comes again; it was accepted, also where its task is in the archive by now. */
  private acknowledged(who: Address, results: ResultReceipt[]): ResultReceipt[] {
    return results.map((result) => {
      const given = result.code === 'task_finished' ? parseLeaseId(result.lease) : null
      const attempts = given && findArchived(this.store, [given.task]).get(given.task)?.view.attempts
      const { provider, state } = attempts?.[given!.attempt - 1] ?? {}
      return provider === who && state === 'succeeded' ? { lease: result.lease, accepted: true } : result
    })
  }

  why(address: Address): Promise<Outcome<Why>> {
    return outcomeOf(() => why(this.book, this.registered(address), Date.now()))
  }

  ownProviders(owner: Address): OwnProviders {
    return ownProviders(this.book, owner, Date.now())
  }

  /** Why a provider of this owner gets the work it gets. */
  whyOf(owner: Address, address: Address): Promise<Outcome<Why>> {
    return outcomeOf(() => {
      const provider = this.book.providers.get(address)
      if (!provider || !isOwnedBy(provider, owner)) throw new DomainError('provider_not_found')
      return why(this.book, provider, Date.now())
    })
  }

  earnings(address: Address): Promise<Outcome<Earnings>> {
    return outcomeOf(() => earningsOf(this.registered(address)))
  }

  /** What requesters were charged for this provider's work since its charges came to `after`, and which want their lanes closed. */
  charges(address: Address, after: bigint, limit: number) {
    return {
      charges: chargesWithVouchers(this.book, address, after, limit),
      closing: closingsOf(this.book, address),
    }
  }

  closeLane(address: Address, requester: Address, signed: LaneClosing): Promise<Outcome<void>> {
    return outcomeOf(() => {
      close(this.book, address, requester, signed, Date.now())
      this.publish()
    })
  }

  ownLanes(requester: Address): OwnLane[] {
    return ownLanes(this.book, requester)
  }

  askToClose(requester: Address, account: string, provider: Address): Promise<Outcome<OwnLane>> {
    return outcomeOf(() => {
      const lane = askToClose(this.book, requester, account, provider, Date.now())
      this.publish()
      return lane
    })
  }

  /** Which provider's lane is to pay for tasks of a requester that signs itself, and what must be signed for it. */
  lane(requester: Address, account: string, encoded: string) {
    return outcomeOf(() => chooseLane(this.book, { requester, account, requests: decodeRequests(encoded) }, Date.now()))
  }

  /** How the chain had a lane when its last voucher was taken; null when that is too long ago, or there is none. */
  laneSeen(requester: Address, account: string, provider: Address): SeenLane | null {
    return believedLane(this.book, requester, account, provider, Date.now())
  }

  /** A requester has signed, and its lane, as it was seen, reaches so far. */
  vouch(requester: Address, account: string, provider: Address, { ceiling, signature }: Signed, seen: SeenLane) {
    return outcomeOf(() => {
      const signed = signedFor(this.book, requester, account, provider)
      if (signed && ceiling < signed.ceiling) {
        throw new DomainError('voucher_refused', {
          detail: `${formatAmount(signed.ceiling)} tokens were signed for before`,
        })
      }
      const purse = purseId(requester, laneKey(account, provider))
      if (lanePurse(this.book, requester, account, provider)?.closing) {
        throw new DomainError('voucher_refused', { detail: 'the lane is closed; another key opens another' })
      }
      const event = { type: 'vouched', at: Date.now(), purse, ceiling, signature, seen } as const
      if (signed?.ceiling !== ceiling) record(this.book, event)
      this.publish()
    })
  }

  /** What a requester may come to owe this provider in all; null when they have nothing to do with each other. */
  due(address: Address, requester: Address): bigint | null {
    return dueTo(this.book, address, requester)
  }

  /** Where in the task's output that of this lease begins; null when the provider does not hold it, so may deliver none. */
  outputOf(address: Address, lease: string): Start | null {
    const held = this.book.providers.get(address)?.leases.get(lease)
    if (!held) return null
    const { prefix } = this.book.tasks.get(held.task)!.task
    return { offset: prefix?.text.length ?? 0, besideOffset: lengthOf(prefix?.beside ?? {}) }
  }

  /** To its room, output that a provider sent here. Should that fail, the socket of the lease brings it again. */
  private async passOn(address: Address, { type: _, lease, ...frame }: Extract<ProviderFrame, { type: 'output' }>) {
    const start = this.outputOf(address, lease)
    if (start === null) return
    const { task, attempt } = parseLeaseId(lease)!
    await this.network
      .room(task)
      .append(attempt, start, frame)
      .catch((error) => logError('output_failed', error, { task }))
  }

  /** From a room: the socket that carried an attempt's output broke off. */
  outputBrokeOff(id: string, attempt: number): void {
    breakOff(this.book, id, attempt, Date.now())
    this.look()
  }

  /** Whose blob this is, when the provider holds this lease and its task refers to the blob; else null. */
  blobOwner(address: Address, lease: string, sha256: string): Address | null {
    const held = this.book.providers.get(address)?.leases.get(lease)
    const spec = held && this.book.tasks.get(held.task)?.task.spec
    if (!spec || !blobsIn(spec.kind, spec.input).some((blob) => blob.sha256 === sha256)) return null
    return spec.requester
  }

  /* Everybody */

  isHomeOf(address: Address): boolean {
    return this.book.providers.has(address)
  }

  /** How much of each class it can take, so that tasks go where they can be done. */
  load(): CellLoad {
    return loadOf(this.book, Date.now())
  }

  models() {
    return modelsOf(this.book, Date.now())
  }

  snapshot() {
    return networkSnapshot(this.book, Date.now())
  }

  /** Tasks of somebody that the history does not have yet. */
  liveTasks(whose: Whose): TaskSummary[] {
    const packed = unexported(this.store)
      .map(historyTask)
      .filter((task) => isOf(whose, task))
    return [...liveSummaries(this.book, whose), ...packed.map(summaryOfRecord)]
  }

  providers(after: string | undefined) {
    return providerList(this.book, after, Date.now())
  }

  provider(address: Address) {
    return providerView(this.book, address, Date.now())
  }

  /** How many of its providers come before this place in the list. */
  rankedBefore(cursor: string): number {
    return rankedBefore(this.book, cursor, Date.now())
  }

  /** On which days a provider was there; null when nobody registered by this address. */
  presenceOf(address: Address) {
    const provider = this.book.providers.get(address)
    return provider ? this.presence.of(address, provider.registeredAt, Date.now()) : null
  }

  books() {
    return booksOf(this.book)
  }

  purses(account: Address) {
    return pursesOf(this.book, account)
  }

  decisions() {
    return latestDecisions(this.book)
  }

  reputations(only?: Address) {
    return reputationsOf(this.book, only)
  }

  /** The network's feed has watchers: publish until it says that it has none. */
  watchNetwork() {
    const snapshot = this.snapshot()
    this.effects.watchNetwork(snapshot)
    return snapshot
  }

  forecast(only: { kind?: Kind | undefined; model?: string | undefined }) {
    return forecastView(this.book, only, Date.now())
  }

  forecastRecord(only: { kind?: Kind | undefined; model?: string | undefined }) {
    return forecastRecord(this.book, only, Date.now())
  }

  /** When a task of the requester's will start and finish. */
  taskForecast(requester: Address, id: string): Promise<Outcome<TaskForecast>> {
    return outcomeOf(() => {
      this.owned(requester, id)
      return taskForecast(this.book, id, Date.now())
    })
  }

  /** From an isolate: its totals. @returns what all of them have used that this market was told of */
  takeUsage(isolate: string, usage: IsolateUsage): CostView {
    keepUsage(this.usages, isolate, usage)
    return costOf(this.usages)
  }

  /** Gives back what was drawn from an account and is not held. */
  recall(account: Address): Promise<void> {
    return this.effects.recall(account)
  }

  /** Every minute. */
  async rollUp(now: number): Promise<void> {
    const active = () =>
      [...this.book.providers.values()]
        .filter((provider) => isActive(provider, Date.now()))
        .map(({ supply }) => supply.address)
    this.presence.look(active, now)
    await this.effects.rollUp(now)
    this.publish()
  }

  /* Sockets of providers; the Worker has checked who they are. */

  override async fetch(request: Request): Promise<Response> {
    const address = request.headers.get('x-provider') as Address
    const { 0: client, 1: server } = new WebSocketPair()
    this.ctx.acceptWebSocket(server, [address])
    server.serializeAttachment({ address, free: 0, seen: 0, sent: 0 } satisfies Session)
    return new Response(null, { status: 101, webSocket: client })
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const session = socket.deserializeAttachment() as Session
    const provider = this.book.providers.get(session.address)
    const frame = parseFrame(message)
    if (!frame || !provider) {
      const code = frame ? 'not_registered' : 'invalid_request'
      socket.send(JSON.stringify({ type: 'error', problem: { code, title: code } } satisfies EdgeFrame))
      return
    }
    if (frame.type === 'output') return this.passOn(session.address, frame)
    const results = this.acknowledged(session.address, poll(this.book, provider, frame, Date.now()))
    provider.reachable = true
    // What this call brought about is in its answer, and need not be told before it.
    socket.serializeAttachment({
      ...session,
      free: frame.free,
      seen: frame.seen,
      sent: provider.lastSeq,
    } satisfies Session)
    await this.flush()
    this.send(
      socket,
      provider,
      { ...session, free: frame.free, seen: frame.seen, sent: frame.seen },
      results,
      markOf(frame),
    )
  }

  override webSocketClose(socket: WebSocket): void {
    // The other side waits for this word back.
    socket.close()
    const { address } = socket.deserializeAttachment() as Session
    const provider = this.book.providers.get(address)
    if (
      !provider ||
      this.ctx.getWebSockets(address).some((other) => other !== socket && other.readyState === WebSocket.OPEN)
    )
      return
    provider.heardAt = Date.now()
    disconnect(this.book, provider)
    expireSoon(this.book, provider, Date.now())
    this.look()
  }

  override async alarm(): Promise<void> {
    // None rings while one is answered, so that the next is set when this one has done what it can.
    this.alarmAt = Date.now()
    this.look()
    // Of what is due at once, others are answered between the steps.
    for (let due = nextDue(this.book); due !== null && due <= Date.now(); due = nextDue(this.book)) {
      await scheduler.wait(1)
      this.look()
    }
    const drained = this.effects.drain().then(() => this.publish())
    await Promise.race([drained, scheduler.wait(ALARM_MS)])
    this.alarmAt = null
    this.publish()
  }

  /** Does what time alone brings about. */
  private look(): void {
    tick(this.book, Date.now())
    this.publish()
  }

  /** Resolves when all that has happened is written down. Busy, it waits a moment so that many frames share a row. */
  private flush(): Promise<void> {
    if (this.flushed) return this.flushed
    if (this.book.occupancy.tasks < GROUP_FROM) {
      this.publish()
      return Promise.resolve()
    }
    this.flushed = new Promise((resolve) => {
      setTimeout(() => {
        this.flushed = null
        this.publish()
        resolve()
      }, GROUP_MS)
    })
    return this.flushed
  }

  /** What keeps this object awake though nobody called it. */
  private async stay(until: Promise<void>): Promise<void> {
    await until
  }

  /** Writes down what has happened and hands out the answers to calls that were waiting for it. */
  private publish(): void {
    this.write()
    deliver(this.mailboxes, Date.now())
  }

  /** Writes down what has happened, then tells those it concerns: the platform holds what is sent until the write is durable. */
  private write(): void {
    const { ended, changed, providers } = this.book.news
    // A new provider and a task that waits change what the network shows, though nobody in particular must be told.
    const isNews = this.book.log.length + changed.length > 0
    this.book.news = { ended: [], changed: [], providers: new Set() }
    writeMarket(this.store)
    for (const task of changed) {
      this.effects.changed(task)
      if (task.state.is === 'sealing') void this.effects.seal(task.spec.id).then(() => this.publish())
    }
    for (const task of ended) {
      taskEnded(this.waiters, task)
      this.effects.changed(task)
    }
    countEnded(ended.length)
    for (const address of providers) this.tell(address)
    const shown = isNews && this.effects.touch()
    if (shown) void this.stay(shown)
    this.arm()
  }

  /** Wakes a provider's long poll, or sends its sockets what is new. */
  private tell(address: Address): void {
    if (rouse(this.waiters, address)) return
    const provider = this.book.providers.get(address)!
    for (const socket of this.ctx.getWebSockets(address)) {
      const session = socket.deserializeAttachment() as Session
      if (hasLeasesAfter(provider, session.sent) || provider.revoked.length > 0)
        this.send(socket, provider, session, [])
    }
  }

  private send(
    socket: WebSocket,
    provider: Provider,
    session: Session,
    results: ResultReceipt[],
    mark: Pick<PollAnswer, 'mark'> = {},
  ): void {
    const frame: EdgeFrame = { type: 'answer', ...this.answer(provider, session.sent), results, ...mark }
    socket.serializeAttachment({ ...session, sent: provider.lastSeq } satisfies Session)
    // A socket that closed meanwhile loses nothing: its leases are told again when the provider is back.
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame))
  }

  private answer(provider: Provider, seen: number): PollAnswer {
    const revoked = provider.revoked
    provider.revoked = []
    return { leases: leasesAfter(this.book, provider, seen), results: [], revoked, now: Date.now() }
  }

  /** A socket that outlived the object's sleep: its provider is as reachable as before. */
  private resume(socket: WebSocket): void {
    const { address, free, seen } = socket.deserializeAttachment() as Session
    const provider = this.book.providers.get(address)
    if (!provider) return
    const untold = [...provider.leases.values()].filter((lease) => lease.seq > seen).length
    setRoom(this.book.matching, provider.supply, Math.max(0, free - untold))
    provider.reachable = true
  }

  private registered(address: Address): Provider {
    const provider = this.book.providers.get(address)
    if (!provider) throw new DomainError('not_registered')
    return provider
  }

  private owned(requester: Address, id: string): TaskView {
    return this.ownedTask(requester, id).view
  }

  private ownedTask(requester: Address, id: string): ArchivedTask {
    const found = this.lookUp(id)
    if (found?.requester !== requester) throw new DomainError('task_not_found')
    return found
  }

  private lookUp(id: string): ArchivedTask | undefined {
    return this.inMemory(id) ?? findArchived(this.store, [id]).get(id)
  }

  private isOpen(id: string): boolean {
    return openOf(this.book, id) !== undefined
  }

  private inMemory(id: string): ArchivedTask | undefined {
    const task = openOf(this.book, id)?.task ?? this.book.ended.get(id)
    return task && archived(task)
  }

  /** One alarm for whatever comes first; set again only when something comes earlier. */
  private arm(): void {
    const times = [nextDue(this.book), nextSignal(this.effects.outbox)].filter((time) => time !== null)
    if (times.length === 0) return
    const now = Date.now()
    const next = Math.max(Math.min(...times), now)
    const isSet = this.alarmAt !== null && this.alarmAt > now - LOST_MS
    if (isSet && this.alarmAt! <= next) return
    this.alarmAt = next
    this.ctx.storage.setAlarm(next)
    used.market.rowsWritten++
  }
}

/** Said back, where one was given. */
const markOf = ({ mark }: Pick<Poll, 'mark'>): Pick<PollAnswer, 'mark'> => (mark === undefined ? {} : { mark })

const hasLeasesAfter = (provider: Provider, seen: number): boolean =>
  provider.leases.size > 0 && provider.lastSeq > seen

function parseFrame(message: string | ArrayBuffer): ProviderFrame | null {
  if (typeof message !== 'string') return null
  try {
    const value = JSON.parse(message)
    return isTooDeep(value) ? null : ProviderFrame.parse(value)
  } catch {
    return null
  }
}

function errorText(error: unknown): string {
  if (error instanceof DomainError) return JSON.stringify({ code: error.code, details: error.details })
  logError('call_failed', error)
  return JSON.stringify({ code: 'internal', details: {} })
}
