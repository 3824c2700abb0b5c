/** Claims: vouchers that are paid by the settlement contract, together when that costs little beside what it brings. */
import { formatAmount, ONE_TOKEN } from '#core/money.ts'
import type { KeptVoucher } from '#core/voucher-page.ts'
import type { Log } from './log.ts'
import { type LaneState, payable, type SettlementLink } from './settlement.ts'
import type { VoucherBook } from './voucher-book.ts'

/** Vouchers of one claim: more cost hardly less each, and must fit a block. */
const BATCH = 100
/** A claim pays when it costs at most this share of what it brings, in percent. */
const COST_PERCENT = 1n

export type Claims = { link: SettlementLink; book: Pick<VoucherBook, 'vouchers'>; log: Log }
type Due = { voucher: KeptVoucher; lane: LaneState; amount: bigint }
/** Whether a claim of these is worth its cost, in wei. */
type Pays = (batch: Due[], cost: bigint) => boolean

/** A claim is worth it that costs little; where a payer wants its money back, one that costs less than it brings. */
export const paysAt =
  (etherPrice: bigint): Pays =>
  (batch, wei) =>
    batch.some(({ lane }) => lane.unlockAt !== 0)
      ? coversCost(etherPrice)(batch, wei)
      : costOf(wei, etherPrice) * 100n <= broughtBy(batch) * COST_PERCENT

/** A claim that costs less than it brings. */
export const coversCost =
  (etherPrice: bigint): Pays =>
  (batch, wei) =>
    costOf(wei, etherPrice) < broughtBy(batch)

const costOf = (wei: bigint, etherPrice: bigint): bigint => (wei * etherPrice) / ONE_TOKEN
const broughtBy = (batch: Due[]): bigint => batch.reduce((sum, { amount }) => sum + amount, 0n)

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
    const amount = broughtBy(batch)
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
