/** Locks lanes for requesters whose account the edge signs for. */
import { DomainError } from '#core/errors.ts'
import { coveredBy, type LaneView, nextCap } from '#core/lane.ts'
import { formatAmount } from '#core/money.ts'
import type { Address } from '#core/protocol/values.ts'
import { cellOf } from './cells.ts'
import type { Network } from './env.ts'
import { logChainError } from './log.ts'

/**
 * Locks as much more as core/lane.ts says, if any. @returns the lane as it is once that is in a block
 * @throws DomainError not_owed, chain_unreachable
 */
export async function lockLane(
  network: Network,
  { settlement, reader }: NonNullable<Network['chain']>,
  receiver: Address,
  requester: Address,
): Promise<LaneView> {
  const due = await network.market(await cellOf(network, receiver)).due(receiver, requester)
  if (due === null) throw new DomainError('not_owed')
  const { account, signLock } = network.signerOf(requester)
  try {
    const lane = await reader.laneOf(account, receiver)
    const cap = lane && nextCap(lane, due)
    let transaction: `0x${string}` | null = null
    if (lane && cap !== null) {
      const lock = { receiver, cap, epoch: BigInt(lane.epoch) }
      transaction = await network.payments().lock({ account, ...lock, signature: await signLock(settlement, lock) })
    }
    const covered = cap ?? (lane ? coveredBy(lane) : 0n)
    const [paid, shown] = [formatAmount(lane?.paid ?? 0n), formatAmount(covered)]
    return { requester, account, due: formatAmount(due), paid, cap: shown, transaction }
  } catch (error) {
    logChainError(error)
    throw new DomainError('chain_unreachable')
  }
}
