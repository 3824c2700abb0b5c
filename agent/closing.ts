/** The end of a lane, which its requester asks for: what is due is claimed, then we sign that we never charge it more. */
import { formatAmount, parseAmount } from '#core/money.ts'
import type { ClosingLane, SignedClosing } from '#core/protocol/lane-closing.ts'
import type { Address } from '#core/protocol/values.ts'
import { type Claims, claimAll, coversCost } from './claims.ts'
import { type Cover, worksFor } from './cover.ts'
import type { VoucherBook } from './voucher-book.ts'

export type Closing = Omit<Claims, 'book'> & {
  edge: { closeLane: (signed: SignedClosing, signal: AbortSignal) => Promise<void> }
  court: Address
  book: VoucherBook
  cover: Cover
  /** What an ether is worth in tokens, base units. */
  etherPrice: bigint
}

/**
 * Signs only what is true: an edge that says less than we were charged for, or asks while we work on that lane, is refused. What
 * cannot be claimed, for it costs more than it brings, is given up.
 */
export async function closeLane(closing: Closing, lane: ClosingLane, signal: AbortSignal): Promise<void> {
  const { edge, court, link, book, cover, etherPrice, log } = closing
  const { account, requester, charged } = lane
  const total = parseAmount(charged)
  const refuse = (reason: string) => log('unpaid', { account, reason: `its lane is not closed: ${reason}` })
  const known = book.vouchers.get(account)
  if (total < (known?.charged ?? 0n)) return refuse(`it was charged ${formatAmount(known!.charged)}`)
  if (known) await claimAll({ link, log, book: { vouchers: new Map([[account, known]]) } }, coversCost(etherPrice))
  const state = await link.laneOf(account)
  if (!state) return refuse('nothing was ever paid into it')
  if (state.paid > total) return refuse(`it has paid ${formatAmount(state.paid)}`)
  if (worksFor(cover, account)) return refuse('there is work for it')
  // Before it is signed: no work that is charged to it may be taken on after that, whatever becomes of this process.
  await book.close(account)
  const signed = await link.signClosing(court, { account, charged: total, epoch: state.epoch })
  await edge.closeLane({ requester, ...signed }, signal)
  log('closed', { account, charged })
}
