/**
 * Collects what the provider is owed: fetches vouchers from the edge, checks each against the chain, keeps the latest on
 * disk, and claims them together when that costs little beside what it brings. Work is taken on as far as a lane covers it.
 */
import { recoverTypedDataAddress } from 'viem'
import type { LaneView } from '#core/lane.ts'
import { formatAmount, ONE_TOKEN, parseAmount } from '#core/money.ts'
import type { Lease } from '#core/protocol/lease.ts'
import type { Address } from '#core/protocol/values.ts'
import { recoverCanonical } from '#core/signature.ts'
import { MAX_LANE, type Settlement, voucherTypedData } from '#core/voucher.ts'
import type { KeptVoucher, VoucherPage, VoucherView } from '#core/voucher-page.ts'
import {
  type Cover,
  endedOf,
  endOf,
  isCovered,
  noteCharged,
  noteLane,
  type Payer,
  payerOf,
  settleLeases,
  shortOf,
  takeOn,
} from './cover.ts'
import type { Log } from './log.ts'
import { type LaneState, messageOf, payable, type SettlementLink } from './settlement.ts'
import { pause, type Timing } from './timing.ts'
import type { VoucherBook } from './voucher-book.ts'

export type CollectorOptions = {
  edge: {
    getVouchers: (after: string, signal: AbortSignal) => Promise<VoucherPage>
    lockLane: (requester: Address, signal: AbortSignal) => Promise<LaneView>
  }
  settlement: Settlement
  receiver: Address
  link: SettlementLink
  book: VoucherBook
  cover: Cover
  /** What an ether is worth in tokens, base units. */
  etherPrice: bigint
  log: Log
  timing: Timing
}

export type Collector = {
  /** Whether a lease's work is covered; has its lane locked first where it is not. */
  takes: (lease: Lease) => Promise<boolean>
  /** The edge has answered for a lease; what was accepted has earned something. */
  ended: (lease: string, accepted: boolean) => void
  /** Collects a last time. */
  stop: () => Promise<void>
}

/** Vouchers of one claim: more cost hardly less each, and must fit a block. */
const BATCH = 100
/** A claim pays when it costs at most this share of what it brings, in percent. */
const COST_PERCENT = 1n
const FAREWELL_MS = 10_000
/** How long a lane may take to be locked. */
const LOCK_MS = 15_000

export function startCollector(options: CollectorOptions): Collector {
  const { edge, link, cover, log, timing } = options
  const closing = new AbortController()
  let after = '0'
  let woken = true
  let wake = () => {}
  let reachable = true
  /** Those that are being locked. */
  const lanes = new Map<Payer, Promise<void>>()

  /** Fetches what has grown since the last time. What cannot be checked now is fetched again. */
  async function fetchAll(signal: AbortSignal): Promise<void> {
    const ended = endedOf(cover)
    for (let more = true; more; ) {
      const page = await edge.getVouchers(after, signal)
      const taken = await Promise.allSettled(page.vouchers.map((voucher) => takeVoucher(options, voucher)))
      for (const one of taken) if (one.status === 'rejected') throw one.reason
      after = page.next
      more = page.more
    }
    settleLeases(cover, ended)
  }

  /** Has a lane locked, once at a time. */
  function secure(payer: Payer, signal: AbortSignal): Promise<void> {
    const securing = lanes.get(payer) ?? lockLane(payer, signal).finally(() => lanes.delete(payer))
    lanes.set(payer, securing)
    return securing
  }

  /** And looks at the chain for what came of it. */
  async function lockLane(payer: Payer, signal: AbortSignal): Promise<void> {
    try {
      const account = isAccount(payer) ? payer : (await edge.lockLane(payer as Address, signal)).account
      const lane = await link.laneOf(account)
      if (lane) noteLane(cover, payer, account, lane, Date.now())
    } catch (error) {
      log('unpaid', { reason: `the lane of ${payer} is not locked: ${messageOf(error)}` })
    }
  }

  async function takes(lease: Lease): Promise<boolean> {
    takeOn(cover, lease)
    const payer = payerOf(lease)
    if (!payer || isCovered(cover, payer, Date.now())) return true
    const signal = AbortSignal.any([AbortSignal.timeout(LOCK_MS), closing.signal])
    // Vouchers first: what is signed counts as locked, and what was claimed meanwhile as paid.
    await fetchAll(signal).catch(() => {})
    await secure(payer, signal)
    if (isCovered(cover, payer, Date.now())) return true
    endOf(cover, lease.id, false)
    // It may be given to us again at once.
    await pause(timing.collectMs, closing.signal)
    return false
  }

  async function collect(signal: AbortSignal): Promise<void> {
    try {
      await options.link.check()
      await fetchAll(signal)
      await claimAll(options, paysAt(options.etherPrice))
      await Promise.all(shortOf(cover, Date.now()).map((payer) => secure(payer, signal)))
      reachable = true
    } catch (error) {
      // Told once: it may last, and is tried again.
      if (reachable) log('unpaid', { reason: messageOf(error) })
      reachable = false
      woken = true
    }
  }

  async function run(): Promise<void> {
    let delay = timing.collectMs
    while (!closing.signal.aborted) {
      if (!woken) {
        const { promise, resolve } = Promise.withResolvers<void>()
        wake = resolve
        await promise
      }
      // A busy provider is paid for much at once, more and more rarely; one that earns now and then soon.
      await pause(delay, closing.signal)
      if (closing.signal.aborted) return
      woken = false
      await collect(closing.signal)
      delay = woken ? Math.min(delay * 2, timing.collectMaxMs) : timing.collectMs
    }
  }

  const done = run()
  return {
    takes,
    ended(lease, accepted) {
      endOf(cover, lease, accepted)
      if (!accepted) return
      woken = true
      wake()
    },
    async stop() {
      closing.abort()
      wake()
      await done
      await collect(AbortSignal.timeout(FAREWELL_MS))
    },
  }
}

/** Not a requester, whose account the edge signs for: such has 42 characters. */
const isAccount = (payer: Payer): payer is `0x${string}` => payer.length === 66

type Checks = Pick<CollectorOptions, 'settlement' | 'receiver' | 'link' | 'book' | 'cover' | 'log'>

const recoverSigner = recoverCanonical((message: ReturnType<typeof voucherTypedData>, signature) =>
  recoverTypedDataAddress({ ...message, signature }),
)

/** Keeps a voucher if it is worth more than the one there is, and its signer is the account's. */
async function takeVoucher(options: Checks, view: VoucherView): Promise<void> {
  const { settlement, receiver, link, book, cover, log } = options
  const { account, signature } = view
  const payer: Payer = view.selfSigned ? account : view.requester
  const [charged, ceiling] = [parseAmount(view.charged), parseAmount(view.ceiling)]
  const known = book.vouchers.get(account)
  if (known && ceiling === known.ceiling && charged <= known.charged) return noteCharged(cover, payer, known.charged)
  const refuse = (reason: string) => log('unpaid', { account, reason })
  if (ceiling < (known?.ceiling ?? 0n)) return refuse(`its voucher shrank from ${formatAmount(known!.ceiling)}`)
  if (charged > ceiling || ceiling > MAX_LANE) return refuse('its voucher is for less than it was charged')
  const lane = await link.laneOf(account)
  const signer = lane?.signer
  if (!signer) return refuse('nothing was ever paid into it')
  const message = voucherTypedData(settlement, { account, receiver, ceiling })
  if ((await recoverSigner(message, signature)) !== signer) return refuse('its voucher is not signed by its signer')
  await book.keep({ settlement, receiver, account, signer, charged, ceiling, signature })
  noteCharged(cover, payer, charged)
  noteLane(cover, payer, account, lane, Date.now())
}

type Claims = Pick<CollectorOptions, 'link' | 'book' | 'log'>
type Due = { voucher: KeptVoucher; lane: LaneState; amount: bigint }
/** Whether a claim of these is worth its cost, in wei. */
type Pays = (batch: Due[], cost: bigint) => boolean

/** A claim is worth it that costs little; where a payer wants its money back, one that costs less than it brings. */
export const paysAt =
  (etherPrice: bigint): Pays =>
  (batch, wei) => {
    const cost = (wei * etherPrice) / ONE_TOKEN
    const brings = batch.reduce((sum, { amount }) => sum + amount, 0n)
    const urgent = batch.some(({ lane }) => lane.unlockAt !== 0)
    return urgent ? cost < brings : cost * 100n <= brings * COST_PERCENT
  }

/** Claims of one key go one after the other, whatever edges it works for: each transaction has its number. */
let turn: Promise<unknown> = Promise.resolve()

/** Claims in batches what is due and worth it, the largest first. @returns base units */
export function claimAll(claims: Claims, pays: Pays): Promise<bigint> {
  const claimed = turn.then(() => claimInTurn(claims, pays))
  turn = claimed.catch(() => {})
  return claimed
}

async function claimInTurn({ link, book, log }: Claims, pays: Pays): Promise<bigint> {
  const due = await dueOf(link, [...book.vouchers.values()])
  let claimed = 0n
  for (let i = 0; i < due.length; i += BATCH) {
    const batch = due.slice(i, i + BATCH)
    const vouchers = batch.map(({ voucher }) => voucher)
    const cost = await link.costOf(vouchers)
    if (!pays(batch, cost.gas * cost.gasPrice)) continue
    const transaction = await link.claim(vouchers, cost)
    const amount = batch.reduce((sum, one) => sum + one.amount, 0n)
    log('claimed', { vouchers: batch.length, amount: formatAmount(amount), transaction })
    claimed += amount
  }
  return claimed
}

/** Those vouchers that can be paid something now. */
async function dueOf(link: SettlementLink, vouchers: KeptVoucher[]): Promise<Due[]> {
  const all = vouchers.map(async (voucher): Promise<Due[]> => {
    const lane = await link.laneOf(voucher.account)
    const amount = lane ? payable(voucher.charged, lane) : 0n
    return lane && amount > 0n ? [{ voucher, lane, amount }] : []
  })
  return (await Promise.all(all)).flat().sort((x, y) => (x.amount < y.amount ? 1 : -1))
}
