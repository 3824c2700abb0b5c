/**
 * Collects what the provider is owed: fetches vouchers from the edge, checks whose signature each must have by the chain, keeps the
 * latest on disk, and claims them together when that costs little beside what it brings. Work is taken on as far as a lane covers
 * it, which while the RPC is away is as far as the lane was last seen to.
 */
import { hashTypedData, recoverTypedDataAddress } from 'viem'
import type { LaneView } from '#core/lane.ts'
import { formatAmount, ONE_TOKEN, parseAmount } from '#core/money.ts'
import type { Lease } from '#core/protocol/lease.ts'
import type { Address } from '#core/protocol/values.ts'
import { isOfContract, recoverCanonical } from '#core/signature.ts'
import { MAX_LANE, type Settlement, voucherTypedData } from '#core/voucher.ts'
import type { KeptVoucher, VoucherPage, VoucherView } from '#core/voucher-page.ts'
import {
  type Cover,
  endedOf,
  endOf,
  isCovered,
  noteCharged,
  noteLane,
  noteOwner,
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
  /** Unix milliseconds. */
  now: () => number
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
const FETCH_MS = 10_000
/** How long a lane may take to be locked. */
const LOCK_MS = 15_000

export function startCollector(options: CollectorOptions): Collector {
  const { edge, cover, log, timing, now } = options
  const closing = new AbortController()
  let after = '0'
  let woken = true
  let wake = () => {}
  let reachable = true
  /** Those that are being locked. */
  const lanes = new Map<Payer, Promise<void>>()
  /** Whatever is seen of a lane counts for what it covers. */
  const link: SettlementLink = {
    ...options.link,
    async laneOf(account) {
      const lane = await options.link.laneOf(account)
      if (lane) noteLane(cover, account, lane, now())
      return lane
    },
  }

  let fetching: Promise<void> | undefined
  let nextFetch: Promise<void> | undefined

  /** Fetches once at a time, or two would write one voucher; who comes meanwhile waits for one that begins later. */
  function fetchAll(): Promise<void> {
    if (!fetching) {
      fetching = fetchNow().finally(() => {
        fetching = undefined
      })
      return fetching
    }
    nextFetch ??= fetching
      .catch(() => {})
      .then(() => {
        nextFetch = undefined
        return fetchAll()
      })
    return nextFetch
  }

  /** What has grown since the last time. What cannot be checked now is fetched again, and holds up no other payer's. */
  async function fetchNow(): Promise<void> {
    const signal = AbortSignal.timeout(FETCH_MS)
    const ended = endedOf(cover)
    const unchecked = new Set<Payer>()
    const failures: unknown[] = []
    let mark = after
    for (let more = true; more; ) {
      const page = await edge.getVouchers(mark, signal)
      const taking = page.vouchers.map((voucher) =>
        takeVoucher({ ...options, link }, voucher).catch((error) => {
          unchecked.add(payerOfVoucher(voucher))
          failures.push(error)
        }),
      )
      await Promise.all(taking)
      mark = page.next
      if (failures.length === 0) after = mark
      more = page.more
    }
    settleLeases(cover, ended, unchecked)
    if (failures.length > 0) throw failures[0]
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
      noteOwner(cover, payer, account)
      await link.laneOf(account)
    } catch (error) {
      log('unpaid', { reason: `the lane of ${payer} is not locked: ${messageOf(error)}` })
    }
  }

  async function takes(lease: Lease): Promise<boolean> {
    takeOn(cover, lease)
    const payer = payerOf(lease)
    if (!payer || isCovered(cover, payer, now())) return true
    const signal = AbortSignal.any([AbortSignal.timeout(LOCK_MS), closing.signal])
    // Vouchers first: what is signed counts as locked, and what was claimed meanwhile as paid.
    await fetchAll().catch(() => {})
    await secure(payer, signal)
    if (isCovered(cover, payer, now())) return true
    endOf(cover, lease.id, false)
    // It may be given to us again at once.
    await pause(timing.collectMs, closing.signal)
    return false
  }

  async function collect(signal: AbortSignal): Promise<void> {
    try {
      await fetchAll()
      await claimAll({ ...options, link }, paysAt(options.etherPrice))
      await Promise.all(shortOf(cover, now()).map((payer) => secure(payer, signal)))
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

const payerOfVoucher = ({ selfSigned, account, requester }: VoucherView): Payer => (selfSigned ? account : requester)

/** Keeps a voucher if it is worth more than the one there is, and its signer is the account's. Throws when the chain must be asked who that is, and is away. */
async function takeVoucher(options: Checks, view: VoucherView): Promise<void> {
  const { settlement, receiver, link, book, cover, log } = options
  const { account, signature } = view
  const payer = payerOfVoucher(view)
  const [charged, ceiling] = [parseAmount(view.charged), parseAmount(view.ceiling)]
  noteOwner(cover, payer, account)
  const known = book.vouchers.get(account)
  if (known && ceiling === known.ceiling && charged <= known.charged) return noteCharged(cover, payer, known.charged)
  const refuse = (reason: string) => log('unpaid', { account, reason })
  if (ceiling < (known?.ceiling ?? 0n)) return refuse(`its voucher shrank from ${formatAmount(known!.ceiling)}`)
  if (charged > ceiling || ceiling > MAX_LANE) return refuse('its voucher is for less than it was charged')
  // An account has the same signer for ever.
  const signer = known?.signer ?? (await link.laneOf(account))?.signer
  if (!signer) return refuse('nothing was ever paid into it')
  const message = voucherTypedData(settlement, { account, receiver, ceiling })
  const isGood = isOfContract(signature)
    ? await link.isSignedByContract(signer, hashTypedData(message), signature)
    : (await recoverSigner(message, signature)) === signer
  if (!isGood) return refuse('its voucher is not signed by its signer')
  await book.keep({ settlement, receiver, account, signer, charged, ceiling, signature })
  noteCharged(cover, payer, charged)
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
    if (!pays(batch, cost.gas * cost.gasPrice + cost.dataFee)) continue
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
