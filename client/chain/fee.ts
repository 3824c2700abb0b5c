import { type Hex, hexToBytes } from 'viem'
import { chainOfId } from '#core/chains.ts'
import { GAS_PRICE_ORACLE, GAS_PRICE_ORACLE_ABI, l1DataFee } from '#core/l1-fee.ts'
import type { Chain } from './chain.ts'
import { told } from './fault.ts'

const ORACLE = { abi: GAS_PRICE_ORACLE_ABI, address: GAS_PRICE_ORACLE } as const

/** What a signed transaction pays for its data on layer 1, over and above its gas; wei. */
export async function dataFeeOf({ node, deployment }: Chain, transaction: Hex): Promise<bigint> {
  if (chainOfId(deployment.chainId)?.dataFee !== 'op-stack') return 0n
  const [l1BaseFee, blobBaseFee, baseFeeScalar, blobBaseFeeScalar] = await Promise.all([
    told(node.readContract({ ...ORACLE, functionName: 'l1BaseFee' })),
    told(node.readContract({ ...ORACLE, functionName: 'blobBaseFee' })),
    told(node.readContract({ ...ORACLE, functionName: 'baseFeeScalar' })),
    told(node.readContract({ ...ORACLE, functionName: 'blobBaseFeeScalar' })),
  ])
  return l1DataFee(hexToBytes(transaction), { l1BaseFee, blobBaseFee, baseFeeScalar, blobBaseFeeScalar })
}
