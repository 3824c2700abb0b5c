/** What the settlement costs: whole transactions on a chain, the base fee of each and its calldata included. */
import { encodeFunctionData } from 'viem'
import { daicnSettlementAbi } from '#contracts/abi.ts'
import { ONE_TOKEN } from '#core/money.ts'
import { packVouchers } from '#core/voucher.ts'
import { DEPLOYER, keyed, send, type TestChain } from './chain.ts'
import {
  approveCall,
  claimCall,
  depositAndLock,
  lockCall,
  type Requester,
  requester,
  topUpCall,
  transferCall,
  voucherOf,
} from './requester.ts'

export type GasFigures = Record<
  | 'gas_voucher_1'
  | 'gas_voucher_10'
  | 'gas_voucher_100'
  | 'gas_new_requester'
  | 'gas_new_lane'
  | 'gas_top_up'
  | 'gas_payout'
  | 'gas_task_100'
  | 'gas_task_1000',
  number
>

const REQUESTERS = 100
/** A requester pays in and locks anew after so many tasks, and a provider is paid out after each batch of 100 vouchers. */
const TASKS_PER_TOP_UP = 10_000

/**
 * Gas of every step, in the middle of its life where it has one: lanes that have paid before, receivers that have earned.
 * The same keys each time, so the figures only change with the code.
 */
export async function measureGas(chain: TestChain): Promise<GasFigures> {
  const { settlement, token } = chain.deployment
  const provider = keyed('provider')
  const requesters = Array.from({ length: REQUESTERS }, (_, i) => requester(`requester ${i}`))
  const joined: number[] = []
  for (const one of requesters) {
    await send(chain, DEPLOYER, token, transferCall(one.payer.address, 1000n * ONE_TOKEN))
    const call = await depositAndLock(chain, one, provider.address, 100n * ONE_TOKEN, 50n * ONE_TOKEN)
    joined.push(Number(await send(chain, one.payer, settlement, call)))
  }
  const claim = async (from: Requester[], ceiling: bigint) => {
    const vouchers = await Promise.all(from.map((one) => voucherOf(chain, one, provider.address, ceiling)))
    return send(chain, provider, settlement, claimCall(provider.address, packVouchers(vouchers)))
  }
  const settle = () =>
    send(
      chain,
      provider,
      settlement,
      encodeFunctionData({ abi: daicnSettlementAbi, functionName: 'settle', args: [provider.address] }),
    )
  await claim(requesters, ONE_TOKEN)
  await settle()
  const batch = (await claim(requesters, 2n * ONE_TOKEN)) / BigInt(REQUESTERS)
  const ten = (await claim(requesters.slice(0, 10), 3n * ONE_TOKEN)) / 10n
  const one = await claim(requesters.slice(0, 1), 4n * ONE_TOKEN)
  const payout = await settle()
  const [first] = requesters as [Requester]
  const lane = await send(
    chain,
    provider,
    settlement,
    await lockCall(chain, first, keyed('another provider').address, ONE_TOKEN, 0n),
  )
  // Who pays in again and again approves once.
  await send(chain, first.payer, token, approveCall(settlement))
  const topUp = await send(
    chain,
    first.payer,
    settlement,
    await topUpCall(chain, first, provider.address, 100n * ONE_TOKEN, 60n * ONE_TOKEN),
  )
  const task = (perVoucher: number) =>
    (Number(batch) + Number(payout) / REQUESTERS) / perVoucher + Number(topUp) / TASKS_PER_TOP_UP
  return {
    gas_voucher_1: Number(one),
    gas_voucher_10: Number(ten),
    gas_voucher_100: Number(batch),
    gas_new_requester: Math.max(...joined),
    gas_new_lane: Number(lane),
    gas_top_up: Number(topUp),
    gas_payout: Number(payout),
    gas_task_100: Math.ceil(task(100) * 10) / 10,
    gas_task_1000: Math.ceil(task(1000) * 10) / 10,
  }
}
