import { DurableObject } from 'cloudflare:workers'
import { DomainError } from '#core/errors.ts'
import type { Address } from '#core/protocol/values.ts'
import type { SignedLock } from '#core/voucher.ts'
import type { Payment } from '#core/x402.ts'
import type { SignedTransaction, Transfers } from '../chain/transfers.ts'
import { type Env, networkOf } from '../env.ts'
import { logError, summaryOf } from '../log.ts'
import { outcomeOf } from '../outcome.ts'
import { used } from '../usage.ts'

type Hex = `0x${string}`

/**
 * A payment from before its first transaction until it has expired, so that none is lost and none counts twice. It is done when its
 * deposit has as many blocks above it as any deposit needs: before that the chain may take it back.
 */
type Kept = Payment & { signer: Address; deposit: SignedTransaction | null; isDone: boolean }

const PREFIX = 'payment:'
/** A payment that has expired is refused by whoever asks us; those on their way to us may be late. */
const LATE_SECONDS = 600n

/** Unix milliseconds. */
const forgottenAt = ({ authorization }: Kept): number => Number(authorization.validBefore + LATE_SECONDS) * 1000
/** When to look again at payments that broke off. */
const AGAIN_MS = 2_000

/**
 * Takes payments of whoever has no account, and deposits each into the payer's account in the settlement; and has lanes locked.
 * There is one of these, for the edge's key has one sequence of transactions.
 */
export class Payments extends DurableObject<Env> {
  private readonly transfers: Transfers
  /** The last transaction that was signed and sent. */
  private turn: Promise<unknown> = Promise.resolve()
  /** What calls see to themselves. */
  private readonly active = new Set<string>()
  private isApproved = false
  /** Locks that are on their way, by account and receiver. */
  private readonly locking = new Map<string, Promise<Hex>>()

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.transfers = networkOf(env).transfers()
  }

  /** @param signer who spends the account @returns the hash of the transaction that deposited it */
  pay(payment: Payment, signer: Address) {
    return outcomeOf(async () => {
      const { from, nonce } = payment.authorization
      const id = `${PREFIX}${from}/${nonce.toLowerCase()}`
      if (this.ctx.storage.kv.get(id)) throw new DomainError('payment_refused', { detail: 'it was made before' })
      this.keep(id, { ...payment, signer, deposit: null, isDone: false })
      this.active.add(id)
      try {
        const state = await this.transfers.check(payment).catch((error) => this.forget(id, error))
        await this.ctx.storage.setAlarm(Date.now() + AGAIN_MS)
        used.payments.rowsWritten++
        // One that another has sent to the chain before us is as good.
        if (state === 'due') await this.take(payment)
        return (await this.deposit(id)).hash
      } catch (error) {
        if (error instanceof DomainError) throw error
        logError('payment_unsettled', summaryOf(error), { from, nonce })
        throw new DomainError('payment_unsettled')
      } finally {
        this.active.delete(id)
      }
    })
  }

  /** Sends a lock, unless it is on its way, and waits until it is in a block. @returns the transaction's hash */
  lock(lock: SignedLock): Promise<Hex> {
    const { account, receiver } = lock
    const id = `${account} ${receiver}`
    const locking = this.locking.get(id) ?? this.sendLock(lock).finally(() => this.locking.delete(id))
    this.locking.set(id, locking)
    return locking
  }

  private async sendLock(lock: SignedLock): Promise<Hex> {
    const sent = await this.inTurn(async () => {
      const signed = await this.transfers.signLock(lock)
      await this.transfers.send(signed)
      return signed
    })
    if (!(await this.transfers.mined(sent))) throw new Error(`the lock was reverted in ${sent.hash}`)
    return sent.hash
  }

  /** Nothing was sent. */
  private forget(id: string, error: unknown): never {
    this.ctx.storage.kv.delete(id)
    throw error
  }

  /** Whoever sent the authorization, its tokens came to us. */
  private async take(payment: Payment): Promise<void> {
    const sent = await this.inTurn(async () => {
      const signed = await this.transfers.signTransfer(payment)
      await this.transfers.send(signed)
      return signed
    })
    if (!(await this.transfers.mined(sent)) && !(await this.transfers.isUsed(payment))) {
      throw new DomainError('payment_refused', { detail: 'the tokens were gone when it was to be made' })
    }
  }

  /** Into the payer's account. A deposit that was signed is kept before it is sent, so that it is not made twice. */
  private async deposit(id: string): Promise<SignedTransaction> {
    const kept = this.ctx.storage.kv.get<Kept>(id)!
    const { from, value } = kept.authorization
    const deposit = await this.inTurn(async () => {
      await this.approve()
      const signed = await this.transfers.signDeposit(from, kept.signer, value)
      this.keep(id, { ...kept, deposit: signed })
      await this.transfers.send(signed)
      return signed
    })
    const keepNext = (next: SignedTransaction) => this.keep(id, { ...kept, deposit: next })
    if (!(await this.transfers.mined(deposit, keepNext))) throw new Error(`the deposit was reverted in ${deposit.hash}`)
    return this.ctx.storage.kv.get<Kept>(id)!.deposit!
  }

  /** Sends again what the node may have forgotten, for more where it is stuck. */
  private async waitFor(id: string, kept: Kept, deposit: SignedTransaction): Promise<void> {
    await this.transfers.send(deposit).catch(() => {})
    await this.transfers.mined(deposit, (next) => this.keep(id, { ...kept, deposit: next }))
  }

  private async approve(): Promise<void> {
    if (this.isApproved) return
    const approval = await this.transfers.signApproval()
    if (approval) {
      await this.transfers.send(approval)
      await this.transfers.mined(approval)
    }
    this.isApproved = true
  }

  /** Goes on with payments that broke off: by a restart, because the chain could not be reached, or took them back. */
  override async alarm(): Promise<void> {
    const kept = [...this.ctx.storage.kv.list<Kept>({ prefix: PREFIX })].filter(([id]) => !this.active.has(id))
    for (const [id, one] of kept) {
      await this.goOn(id, one).catch((error) => logError('payment_unsettled', summaryOf(error), { payment: id }))
    }
    const rest = [...this.ctx.storage.kv.list<Kept>({ prefix: PREFIX })].map(([, one]) => one)
    if (rest.length === 0) return
    const next = rest.every(({ isDone }) => isDone) ? Math.min(...rest.map(forgottenAt)) : Date.now() + AGAIN_MS
    await this.ctx.storage.setAlarm(next)
  }

  private async goOn(id: string, kept: Kept): Promise<void> {
    const isOver = forgottenAt(kept) <= Date.now()
    if (kept.isDone) {
      if (isOver) this.ctx.storage.kv.delete(id)
      return
    }
    const state = kept.deposit ? await this.transfers.stateOf(kept.deposit) : 'lost'
    if (state === 'done') return this.keep(id, { ...kept, isDone: true })
    if (state === 'mined') return
    // The chain may have taken back what came before it too.
    this.isApproved = false
    if (kept.deposit && state === 'waiting' && !(await this.transfers.clear(kept.deposit.nonce))) return
    // What has not come to us is not deposited, though it was signed: that would be the money of others.
    if (!(await this.transfers.isUsed(kept))) {
      // What was sent may still get into a block, until its time is over.
      if (isOver) this.ctx.storage.kv.delete(id)
      if (isOver || !kept.deposit) return
      await this.take(kept)
    }
    if (kept.deposit && state === 'waiting') return this.waitFor(id, kept, kept.deposit)
    await this.deposit(id)
  }

  private keep(id: string, kept: Kept): void {
    this.ctx.storage.kv.put(id, kept)
    used.payments.rowsWritten++
  }

  /** One after the other, whether or not the one before failed. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.turn.then(work, work)
    this.turn = mine
    return mine
  }
}
