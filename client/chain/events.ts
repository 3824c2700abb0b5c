import type { ContractEventArgs, GetContractEventsReturnType } from 'viem'
import { daicnSettlementAbi } from '#contracts/abi.ts'
import { DaicnError } from '../error.ts'
import type { Chain } from './chain.ts'
import { told } from './fault.ts'

type Abi = typeof daicnSettlementAbi
type EventName = 'Deposited' | 'Locked' | 'Claimed'
type Events<N extends EventName> = GetContractEventsReturnType<Abi, N, true>

/** Below so many blocks a node has no reason to refuse but one that will not go away. */
const LEAST_BLOCKS = 500n

/** All events of one name since the contracts are there. Nodes bound how many blocks they search at once, each as it likes. */
export async function settlementEvents<N extends EventName>(
  chain: Chain,
  eventName: N,
  args: ContractEventArgs<Abi, N>,
): Promise<Events<N>> {
  const { node, deployment } = chain
  const search = async (fromBlock: bigint, toBlock: bigint): Promise<Events<N>> => {
    const filter = { abi: daicnSettlementAbi, address: deployment.settlement, eventName, args, fromBlock, toBlock }
    try {
      return (await told(node.getContractEvents({ ...filter, strict: true } as never))) as Events<N>
    } catch (error) {
      const isBounded =
        error instanceof DaicnError && error.code === 'chain_refused' && toBlock - fromBlock > LEAST_BLOCKS
      if (!isBounded) throw error
      const middle = (fromBlock + toBlock) / 2n
      return [...(await search(fromBlock, middle)), ...(await search(middle + 1n, toBlock))] as Events<N>
    }
  }
  return search(BigInt(deployment.block), await told(node.getBlockNumber({ cacheTime: 0 })))
}
