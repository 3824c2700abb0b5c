import { DurableObject } from 'cloudflare:workers'
import {
  type AccountEvent,
  type Account as AccountState,
  type ApiKey,
  applyToAccount,
  checkFaucet,
  checkSignIn,
  createAccount,
  drawOf,
  earnedOf,
  FAUCET_AMOUNT,
  freeOf,
  grantDraw,
} from '#core/account.ts'
import type { CreateKey } from '#core/protocol/account.ts'
import type { BlobView } from '#core/protocol/blob.ts'
import type { Address } from '#core/protocol/values.ts'
import type { DeliveryView, WebhookView } from '#core/protocol/webhook.ts'
import { type Env, networkOf } from '../env.ts'
import { logError } from '../log.ts'
import { createOutbox, drain, nextSignal } from '../outbox.ts'
import { outcomeOf } from '../outcome.ts'
import { used } from '../usage.ts'
import { type AccountBlobs, openAccountBlobs } from './account-blobs.ts'
import { type AccountPlaces, openAccountPlaces } from './account-places.ts'
import { type AccountWebhooks, type Notice, openAccountWebhooks } from './account-webhooks.ts'

/** Entries after which the account is written down whole. */
const SNAPSHOT_EVERY = 500
/** How often old entries are dropped from the log of webhooks. */
const TIDY_MS = 3_600_000

type Entry = { number: number; event: AccountEvent }

/**
 * One requester's or provider's account: its entries are only ever added, and its state is what they come to.
 * Beside that it knows which blobs it keeps, and delivers its webhooks.
 */
export class Account extends DurableObject<Env> {
  private readonly state: AccountState
  private last = 0
  private base = 0
  private readonly blobs: AccountBlobs
  /** Wake-up signals by endpoint. */
  private readonly outbox = createOutbox()
  private readonly hooks: AccountWebhooks
  private tidiedAt = 0
  /** Opened by the first who needs it: in a network of one cell nobody does. */
  private places: AccountPlaces | null = null
  /** The sweep that goes on: what it removes must not be written meanwhile. */
  private sweeping: Promise<void> | null = null

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    const { kv } = ctx.storage
    const kept = kv.get<{ state: AccountState; number: number }>('snapshot')
    this.state = { ...createAccount(), ...kept?.state }
    this.last = this.base = kept?.number ?? 0
    const entries = [...kv.list<Entry>({ prefix: 'entry:' })].map(([, entry]) => entry)
    for (const { number, event } of entries.sort((x, y) => x.number - y.number)) {
      if (number <= this.base) continue
      applyToAccount(this.state, event)
      this.last = number
    }
    this.blobs = openAccountBlobs(ctx.storage)
    this.hooks = openAccountWebhooks(ctx.storage, networkOf(env), this.outbox)
  }

  /** Base units. What markets hold of it is theirs to say. */
  balances() {
    return { deposited: this.state.deposited, free: freeOf(this.state), earned: earnedOf(this.state) }
  }

  /** @returns the total this market has drawn on this key, whether or not it grew */
  draw(draw: { cell: string; key: string; least: bigint; most: bigint }): bigint {
    const total = grantDraw(this.state, draw, Date.now())
    if (total > drawOf(this.state, draw.cell, draw.key).drawn) {
      this.add({ type: 'drew', at: Date.now(), cell: draw.cell, key: draw.key, total })
    }
    return total
  }

  settle(cell: string, key: string, captured: bigint, restored: bigint): void {
    const known = drawOf(this.state, cell, key)
    if (captured <= known.captured && restored <= known.restored) return
    this.add({ type: 'settled', at: Date.now(), cell, key, captured, restored })
  }

  credit(cell: string, total: bigint): void {
    if (total <= (this.state.earned.get(cell) ?? 0n)) return
    this.add({ type: 'earned', at: Date.now(), cell, total })
  }

  /** As a provider: in this cell, unless it is at home in another. @returns the one that it is at home in */
  settleIn(cell: string): string {
    if (this.state.home === null) this.add({ type: 'settled_in', at: Date.now(), cell })
    return this.state.home!
  }

  /** Where a submission under an idempotency key is to go: to the cell that it was chosen for, or where it went before. */
  place(key: string, cell: string): string {
    this.places ??= openAccountPlaces(this.ctx.storage)
    return this.places.enter(key, cell, Date.now())
  }

  unplace(key: string): void {
    this.places ??= openAccountPlaces(this.ctx.storage)
    this.places.leave(key)
  }

  /**
   * From the chain: what was deposited and not taken out, in all, as it was read at a time.
   * @returns false when markets have drawn more than that leaves
   */
  fund(total: bigint, readAt: number): boolean {
    const isNews = readAt >= this.state.fundedAt && total !== this.state.deposited
    if (isNews) this.add({ type: 'funded', at: readAt, total })
    return freeOf(this.state) >= 0n
  }

  faucet() {
    return outcomeOf(() => {
      checkFaucet(this.state.deposited)
      this.add({ type: 'deposited', at: Date.now(), amount: FAUCET_AMOUNT, source: 'faucet' })
    })
  }

  signIn(issuedAt: number) {
    return outcomeOf(() => {
      checkSignIn(this.state, issuedAt)
      this.add({ type: 'signed_in', at: Date.now(), issuedAt })
    })
  }

  /** @param id identifier of the new key; @param hash hex SHA-256 of its secret */
  makeKey(id: string, hash: string, wanted: Omit<CreateKey, 'budget'> & { budget: bigint | null }): ApiKey {
    const now = Date.now()
    const { name, scopes, budget, expiresInSeconds } = wanted
    const expiresAt = expiresInSeconds === undefined ? null : now + expiresInSeconds * 1000
    const key: ApiKey = { id, name, hash, scopes, budget, expiresAt, createdAt: now }
    this.add({ type: 'key_made', at: now, key })
    return key
  }

  revokeKey(id: string): boolean {
    if (!this.state.keys.has(id)) return false
    this.add({ type: 'key_revoked', at: Date.now(), id })
    return true
  }

  keys(): ApiKey[] {
    return [...this.state.keys.values()]
  }

  key(id: string): ApiKey | null {
    return this.state.keys.get(id) ?? null
  }

  /* Blobs */

  reserveBlob(blob: BlobView) {
    return outcomeOf(async () => {
      await this.sweeping
      this.blobs.reserve(blob)
      await this.arm()
    })
  }

  async storedBlob(blob: BlobView): Promise<BlobView> {
    this.blobs.stored(blob)
    await this.arm()
    return this.blobs.find(blob.sha256, Date.now())!
  }

  missedBlob(sha256: string): void {
    this.blobs.missed(sha256)
  }

  blob(sha256: string): BlobView | null {
    return this.blobs.find(sha256, Date.now())
  }

  /** Keeps blobs at least until then, unless one is missing. @returns those that are missing */
  keepBlobs(wanted: { sha256: string; until: number }[]): string[] {
    const now = Date.now()
    const missing = wanted.filter(({ sha256 }) => !this.blobs.find(sha256, now)).map(({ sha256 }) => sha256)
    if (missing.length === 0) for (const { sha256, until } of wanted) this.blobs.keep(sha256, until)
    return missing
  }

  async dropBlob(sha256: string): Promise<boolean> {
    const dropped = this.blobs.drop(sha256, Date.now())
    if (dropped) await this.arm()
    return dropped
  }

  /* Webhooks */

  makeWebhook(url: string, secret: string) {
    return outcomeOf(() => this.hooks.add(`wh_${crypto.randomUUID().replaceAll('-', '').slice(0, 16)}`, url, secret))
  }

  webhooks(): WebhookView[] {
    return this.hooks.list()
  }

  removeWebhook(id: string): boolean {
    return this.hooks.remove(id)
  }

  deliveries(id: string, before: string | undefined): DeliveryView[] | null {
    return this.hooks.list().some((hook) => hook.id === id) ? this.hooks.deliveries(id, before) : null
  }

  /** From a market: these endpoints are to hear of these tasks. What is told again changes nothing. */
  async notify(notices: Notice[]): Promise<void> {
    this.hooks.notify(notices)
    await this.arm()
  }

  override async alarm(): Promise<void> {
    const now = Date.now()
    await this.sweep(now)
    if (now - this.tidiedAt > TIDY_MS) {
      this.tidiedAt = now
      this.hooks.dropOld(now)
    }
    await drain(this.outbox, {
      now: Date.now,
      handle: (webhook) => this.hooks.deliver(webhook),
      failed: (webhook, error, parked) => logError('webhook_failed', error, { webhook, parked }),
    })
    await this.arm()
  }

  /** Removes blobs whose time is over. */
  private async sweep(now: number): Promise<void> {
    const due = this.blobs.due(now)
    if (due.length === 0) return
    this.sweeping = networkOf(this.env)
      .blobs.remove(this.ctx.id.name as Address, due)
      .then(() => this.blobs.swept(due))
      .finally(() => {
        this.sweeping = null
      })
    await this.sweeping
  }

  /** One alarm for whatever comes first. */
  private async arm(): Promise<void> {
    const times = [this.blobs.nextDue(), nextSignal(this.outbox)].filter((time) => time !== null)
    if (times.length === 0) return
    const next = Math.min(...times)
    const armed = await this.ctx.storage.getAlarm()
    if (armed !== null && armed <= next) return
    await this.ctx.storage.setAlarm(next)
    used.account.rowsWritten++
  }

  private add(event: AccountEvent): void {
    const { kv } = this.ctx.storage
    applyToAccount(this.state, event)
    this.last++
    kv.put(`entry:${this.last - this.base}`, { number: this.last, event } satisfies Entry)
    used.account.rowsWritten++
    if (this.last - this.base < SNAPSHOT_EVERY) return
    kv.put('snapshot', { state: this.state, number: this.last })
    used.account.rowsWritten++
    this.base = this.last
  }
}
