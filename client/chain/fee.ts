import { type Hex, hexToBytes } from 'viem'
import { chainOfId } from '#core/chains.ts'
import { GAS_PRICE_ORACLE, GAS_PRICE_ORACLE_ABI, l1DataFee, readL1Prices } from '#core/l1-fee.ts'
import type { Chain } from './chain.ts'
import { told } from './fault.ts'

const ORACLE = { abi: GAS_PRICE_ORACLE_ABI, address: GAS_PRICE_ORACLE } as const

/** What a signed transaction pays for its data on layer 1, over and above its gas; wei. */
export async function dataFeeOf({ node, deployment }: Chain, transaction: Hex): Promise<bigint> {
  if (chainOfId(deployment.chainId)?.dataFee !== 'op-stack') return 0n
  const prices = await readL1Prices((functionName) => told(node.readContract({ ...ORACLE, functionName })))
  return l1DataFee(hexToBytes(transaction), prices)
}
