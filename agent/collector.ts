/**
 * Collects what the provider is owed: fetches vouchers from the edge, checks whose signature each must have by the chain, keeps the
 * latest on disk, and claims them together when that costs little beside what it brings. Work is taken on as far as a lane covers
 * it, which while the RPC is away is as far as the lane was last seen to.
 */
import { hashTypedData, recoverTypedDataAddress } from 'viem'
import type { LaneView } from '#core/lane.ts'
import { formatAmount, parseAmount } from '#core/money.ts'
import type { ClosingLane } from '#core/protocol/lane-closing.ts'
import type { Lease } from '#core/protocol/lease.ts'
import type { Address } from '#core/protocol/values.ts'
import { isOfContract, recoverCanonical } from '#core/signature.ts'
import { MAX_LANE, type Settlement, voucherTypedData } from '#core/voucher.ts'
import type { VoucherPage, VoucherView } from '#core/voucher-page.ts'
import { claimAll, paysAt } from './claims.ts'
import { type Closing, closeLane } from './closing.ts'
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
import { messageOf, type SettlementLink } from './settlement.ts'
import { pause, type Timing } from './timing.ts'
import type { VoucherBook } from './voucher-book.ts'

export type CollectorOptions = {
  edge: {
    getVouchers: (after: string, signal: AbortSignal) => Promise<VoucherPage>
    lockLane: (requester: Address, signal: AbortSignal) => Promise<LaneView>
  } & Closing['edge']
  settlement: Settlement
  court: Address
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

const FAREWELL_MS = 10_000
const FETCH_MS = 10_000
/** How long a lane may take to be locked. */
const LOCK_MS = 15_000

export function startCollector(options: CollectorOptions): Collector {
  const { edge, book, cover, log, timing, now } = options
  const stopping = new AbortController()
  let after = '0'
  /** Lanes that their requesters want closed. */
  let closing: ClosingLane[] = []
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
      closing = page.closing
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
    if (payer && book.closed.has(payer)) return leave(lease)
    if (!payer || isCovered(cover, payer, now())) return true
    const signal = AbortSignal.any([AbortSignal.timeout(LOCK_MS), stopping.signal])
    // Vouchers first: what is signed counts as locked, and what was claimed meanwhile as paid.
    await fetchAll().catch(() => {})
    await secure(payer, signal)
    return isCovered(cover, payer, now()) || leave(lease)
  }

  async function leave(lease: Lease): Promise<false> {
    endOf(cover, lease.id, false)
    // It may be given to us again at once.
    await pause(timing.collectMs, stopping.signal)
    return false
  }

  async function collect(signal: AbortSignal): Promise<void> {
    try {
      await fetchAll()
      await claimAll({ ...options, link }, paysAt(options.etherPrice))
      for (const lane of closing) await closeLane({ ...options, link }, lane, signal)
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
    while (!stopping.signal.aborted) {
      if (!woken) {
        const { promise, resolve } = Promise.withResolvers<void>()
        wake = resolve
        const mayClose = [...book.vouchers.values()].some(({ selfSigned }) => selfSigned)
        const look = mayClose ? setTimeout(resolve, timing.lookMs) : undefined
        await promise
        clearTimeout(look)
      }
      // A busy provider is paid for much at once, more and more rarely; one that earns now and then soon.
      await pause(delay, stopping.signal)
      if (stopping.signal.aborted) return
      woken = false
      await collect(stopping.signal)
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
      stopping.abort()
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
  const { account, selfSigned, signature } = view
  const payer = payerOfVoucher(view)
  const [charged, ceiling] = [parseAmount(view.charged), parseAmount(view.ceiling)]
  noteOwner(cover, payer, account)
  const known = book.vouchers.get(account)
  if (known && ceiling === known.ceiling && charged <= known.charged) return noteCharged(cover, payer, known.charged)
  const refuse = (reason: string) => log('unpaid', { account, reason })
  if (book.closed.has(account)) return refuse('its lane is closed')
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
  await book.keep({ settlement, receiver, account, signer, charged, ceiling, selfSigned, signature })
  noteCharged(cover, payer, charged)
}
