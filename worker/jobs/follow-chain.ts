/**
 * Follows what is deposited and taken out on the chain. Accounts are told totals, so telling them again changes nothing, and
 * they are told before the cursor moves on, so that none is passed over.
 */
import type { Address } from '#core/protocol/values.ts'
import type { Network } from '../env.ts'
import { logChainError, logError } from '../log.ts'
import type { BlockMark } from '../store/deposits.ts'

/** Blocks that one request for logs may span; public RPCs refuse many more. */
const BLOCKS_A_STEP = 2_000
/** Steps of one run: a long way behind, it goes on with the next. */
const STEPS = 20

/** Reads what the chain has confirmed since the last run. A chain that cannot be read is logged and tried again by the next. */
export async function followChain(network: Network): Promise<void> {
  if (!network.chain) return
  try {
    const readAt = Date.now()
    const confirmed = await network.chain.reader.confirmedBlock()
    for (let step = 0; step < STEPS; step++) if (!(await advance(network, network.chain, confirmed, readAt))) return
  } catch (error) {
    logChainError(error)
  }
}

type Chain = NonNullable<Network['chain']>

/** @returns false when all that is confirmed was read */
async function advance(network: Network, chain: Chain, confirmed: number, readAt: number): Promise<boolean> {
  const { reader, deposits } = chain
  const cursor = await deposits.cursor()
  if (cursor && cursor.block >= confirmed) return false
  const from = (cursor ? await lastTrue(chain, cursor) : chain.deployment.block - 1) + 1
  const to = Math.min(confirmed, from + BLOCKS_A_STEP - 1)
  const mark = await reader.markOf(to)
  const moves = (await reader.moves(from, to)).filter(
    ({ account, payer }) => network.signerOf(payer).account === account,
  )
  // Those that a block told of which is no more are told anew as well.
  const payers = [...new Set([...moves.map(({ payer }) => payer), ...(await deposits.payersFrom(from))])]
  const totals = await deposits.totalsBefore(from, payers)
  for (const { payer, amount } of moves) totals.set(payer, totals.get(payer)! + amount)
  await Promise.all([...totals].map(([payer, total]) => tell(network, payer, total, readAt)))
  await deposits.advance(
    from,
    moves.map(({ account: _, ...move }) => move),
    mark,
  )
  return to < confirmed
}

/** What a payer has taken out, no market may go on spending: those that drew it in advance give back what is not held. */
async function tell(network: Network, payer: Address, total: bigint, readAt: number): Promise<void> {
  if (await network.account(payer).fund(total, readAt)) return
  await network.everywhere((market) => market.recall(payer))
}

/**
 * The last block of what was read that is still on the chain: the cursor's, or where it was taken back for all its
 * confirmations, the last before it that told of anything.
 */
async function lastTrue({ reader, deposits, deployment }: Chain, cursor: BlockMark): Promise<number> {
  const stands = async ({ block, blockHash }: BlockMark) => (await reader.markOf(block)).blockHash === blockHash
  if (await stands(cursor)) return cursor.block
  logError('chain_reorganised', 'blocks that were confirmed are no more', { block: cursor.block })
  for (let before = cursor.block; ; ) {
    const blocks = await deposits.blocksBefore(before)
    for (const mark of blocks) if (await stands(mark)) return mark.block
    if (blocks.length === 0) return deployment.block - 1
    before = blocks.at(-1)!.block
  }
}
