import { DurableObject } from 'cloudflare:workers'
import { type Book, disconnect, expireSoon, nextDue, type Provider, pardon, purseOf, record, tick } from '#core/book.ts'
import { DomainError } from '#core/errors.ts'
import { isTooDeep } from '#core/json.ts'
import { LEASE_MS } from '#core/lease.ts'
import { cancel, poll, register, submit } from '#core/market.ts'
import { setRoom } from '#core/matching.ts'
import {
  type Address,
  type EdgeFrame,
  type Poll,
  type PollAnswer,
  ProviderFrame,
  type Register,
  type ResultReceipt,
  type TaskView,
} from '#core/protocol.ts'
import { drawTargets, purseId } from '#core/purse.ts'
import { decodeRequests } from '#core/request.ts'
import { makeTaskId, parseTaskId } from '#core/task-id.ts'
import { booksOf, leasesAfter, modelsOf, networkSnapshot, pursesOf, taskView } from '#core/views.ts'
import { cost } from '../cost.ts'
import { type Env, type Network, networkOf } from '../env.ts'
import { nextSignal } from '../outbox.ts'
import { fromJson, type Json, outcomeOf, toJson } from '../outcome.ts'
import { createEffects, type MarketEffects } from './market-effects.ts'
import { type ArchivedTask, findArchived, loadMarket, type MarketStore, writeMarket } from './market-store.ts'
import { call, createWaiters, taskEnded, untilCalled, untilEnded, type Waiters } from './waiters.ts'

/** With this many tasks open, calls are worth a moment's wait for others to share their journal row. */
const GROUP_FROM = 4
const GROUP_MS = 2

/** What a provider's socket remembers while the market sleeps. */
type Session = { address: Address; free: number; seen: number; sent: number }

/** One cell of the market: the only writer of its tasks' states. Thin: the rules are in core/market.ts and core/book.ts. */
export class Market extends DurableObject<Env> {
  private readonly network: Network
  private readonly store: MarketStore
  private readonly book: Book
  private readonly effects: MarketEffects
  private readonly waiters: Waiters = createWaiters()
  private flushed: Promise<void> | null = null
  private alarmAt: number | null = null

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.network = networkOf(env)
    this.store = loadMarket(ctx.storage, ctx.id.name!, Date.now())
    this.book = this.store.book
    this.effects = createEffects(this.store, this.network)
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('ping', 'pong'))
    for (const socket of ctx.getWebSockets()) this.resume(socket)
    pardon(this.book, Date.now())
    this.arm()
  }

  /* Requesters */

  /** @param requests as `encodeRequests` writes them @returns the tasks, ended or as they stand after `waitMs` */
  async submit(requester: Address, key: string, requests: string, waitMs: number) {
    return outcomeOf(async (): Promise<Json<TaskView[]>> => {
      const submission = {
        requester,
        purse: purseId(requester, key),
        requests: decodeRequests(requests),
        newId: (at: number) => this.newTaskId(at),
      }
      let result = submit(this.book, submission, Date.now())
      // Others may spend what was drawn for this one: the account's word is the end of it, not the first try.
      while ('short' in result) {
        await this.draw(requester, key, result.short)
        result = submit(this.book, submission, Date.now())
      }
      const { tasks } = result
      const ids = tasks.map(({ spec }) => spec.id)
      const waited = waitMs > 0 ? untilEnded(this.waiters, ids, Date.now() + waitMs) : null
      await this.flush()
      const ended = await waited
      return toJson(
        tasks.map((task) => taskView(ended?.get(task.spec.id) ?? this.book.tasks.get(task.spec.id)?.task ?? task)),
      )
    })
  }

  async read(requester: Address, id: string, waitMs: number) {
    return outcomeOf(async () => {
      const view = this.owned(requester, id)
      if (waitMs <= 0 || !this.book.tasks.has(id)) return view
      await untilEnded(this.waiters, [id], Date.now() + waitMs)
      return this.owned(requester, id)
    })
  }

  async cancel(requester: Address, id: string) {
    return outcomeOf(async () => {
      this.owned(requester, id)
      cancel(this.book, id, Date.now())
      await this.flush()
      return this.owned(requester, id)
    })
  }

  /** For the room of a task: how it stands, and from now on every change. */
  watch(id: string): TaskView | null {
    if (this.book.tasks.has(id)) this.effects.watched.add(id)
    return this.lookUp(id)?.view ?? null
  }

  /* Providers */

  async register(address: Address, registration: Register): Promise<{ cell: string; leaseSeconds: number }> {
    register(this.book, address, registration, Date.now())
    this.effects.touch()
    await this.flush()
    return { cell: this.book.cell, leaseSeconds: LEASE_MS / 1000 }
  }

  async poll(address: Address, json: Json<Poll>) {
    return outcomeOf(async (): Promise<Json<PollAnswer>> => {
      const provider = this.book.providers.get(address)
      if (!provider) throw new DomainError('not_registered')
      const call = fromJson(json)
      const results = poll(this.book, provider, call, Date.now())
      const nothing =
        provider.revoked.length === 0 &&
        !hasLeasesAfter(provider, call.seen) &&
        results.every(({ accepted }) => accepted)
      if (nothing && call.waitSeconds > 0) {
        const called = untilCalled(this.waiters, address, Date.now() + call.waitSeconds * 1000)
        provider.reachable = true
        await this.flush()
        await called
        // Unless a later poll of the same provider ended this one: then the provider waits in that.
        if (!this.waiters.polls.has(address)) disconnect(this.book, provider)
      } else disconnect(this.book, provider)
      await this.flush()
      return toJson({ ...this.answer(provider, call.seen), results })
    })
  }

  /** True when the provider holds this lease, so that it may deliver its output. */
  holds(address: Address, lease: string): boolean {
    return this.book.providers.get(address)?.leases.has(lease) ?? false
  }

  /* Everybody */

  models() {
    return modelsOf(this.book, Date.now())
  }

  snapshot() {
    return networkSnapshot(this.book, Date.now())
  }

  books() {
    return booksOf(this.book)
  }

  purses(account: Address) {
    return pursesOf(this.book, account)
  }

  /** The network's feed has watchers: publish until it says that it has none. */
  watchNetwork() {
    const snapshot = this.snapshot()
    this.effects.watchNetwork(snapshot)
    return snapshot
  }

  rollUp() {
    return this.effects.rollUp()
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
    const results = poll(this.book, provider, frame, Date.now())
    provider.reachable = true
    await this.flush()
    this.send(socket, provider, { ...session, free: frame.free, seen: frame.seen, sent: frame.seen }, results)
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
    this.arm()
  }

  override async alarm(): Promise<void> {
    this.alarmAt = null
    tick(this.book, Date.now())
    this.write()
    await this.effects.drain()
    this.arm()
  }

  /** Resolves when all that has happened is written down. Busy, it waits a moment so that many calls share a row. */
  private flush(): Promise<void> {
    if (this.flushed) return this.flushed
    if (this.book.tasks.size < GROUP_FROM) {
      this.write()
      return Promise.resolve()
    }
    this.flushed = new Promise((resolve) => {
      setTimeout(() => {
        this.flushed = null
        this.write()
        resolve()
      }, GROUP_MS)
    })
    return this.flushed
  }

  /** Writes down what has happened, then tells those it concerns: the platform holds what is sent until the write is durable. */
  private write(): void {
    const { ended, changed, providers } = this.book.news
    // A new provider and a task that waits change what the network shows, though nobody in particular must be told.
    const isNews = this.book.log.length + changed.length > 0
    this.book.news = { ended: [], changed: [], providers: new Set() }
    writeMarket(this.store)
    for (const task of changed) this.effects.changed(task)
    for (const task of ended) {
      taskEnded(this.waiters, task)
      this.effects.changed(task)
    }
    for (const address of providers) this.rouse(address)
    if (isNews) this.effects.touch()
    this.arm()
  }

  /** Wakes a provider's long poll, or sends its sockets what is new. */
  private rouse(address: Address): void {
    if (call(this.waiters, address)) return
    const provider = this.book.providers.get(address)!
    for (const socket of this.ctx.getWebSockets(address)) {
      const session = socket.deserializeAttachment() as Session
      if (hasLeasesAfter(provider, session.sent) || provider.revoked.length > 0)
        this.send(socket, provider, session, [])
    }
  }

  private send(socket: WebSocket, provider: Provider, session: Session, results: ResultReceipt[]): void {
    const frame: EdgeFrame = { type: 'answer', ...this.answer(provider, session.sent), results }
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

  /** Draws on the account what the purse is short of. @throws DomainError when the account cannot cover it */
  private async draw(requester: Address, key: string, short: bigint): Promise<void> {
    const id = purseId(requester, key)
    const targets = drawTargets(purseOf(this.book, id), short)
    const total = await this.network.account(requester).draw({ cell: this.book.cell, key, ...targets })
    if (total < targets.least) throw new DomainError('insufficient_funds')
    record(this.book, { type: 'drew', at: Date.now(), purse: id, total })
  }

  private owned(requester: Address, id: string): TaskView {
    const found = this.lookUp(id)
    if (found?.requester !== requester) throw new DomainError('task_not_found')
    return found.view
  }

  private lookUp(id: string): ArchivedTask | undefined {
    const task = this.book.tasks.get(id)?.task ?? this.book.ended.get(id)
    if (task) return { requester: task.spec.requester, view: taskView(task) }
    const parsed = parseTaskId(id)
    return parsed ? findArchived(this.store, id, parsed.createdAt) : undefined
  }

  private newTaskId(createdAt: number): string {
    const random = Array.from(crypto.getRandomValues(new Uint8Array(10)), (byte) => (byte % 36).toString(36)).join('')
    return makeTaskId(this.book.cell, createdAt, random)
  }

  /** One alarm for whatever comes first; set again only when something comes earlier. */
  private arm(): void {
    const times = [nextDue(this.book), nextSignal(this.effects.outbox)].filter((time) => time !== null)
    if (times.length === 0) return
    const next = Math.max(Math.min(...times), Date.now())
    if (this.alarmAt !== null && this.alarmAt <= next) return
    this.alarmAt = next
    this.ctx.storage.setAlarm(next)
    cost.objectRows++
  }
}

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
