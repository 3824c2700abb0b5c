/** What proposals would do, and why their proposers say it should be done. */
import { decodeFunctionData, type Hex } from 'viem'
import { daicnGovernorAbi, daicnTokenAbi, parametersAbi } from '#contracts/abi.ts'
import { PARAMETER_NAMES, type ParameterName } from '#core/parameters.ts'
import type { Address } from '#core/protocol/values.ts'
import type { Chain } from './chain.ts'
import { told } from './fault.ts'
import type { Deed } from './governance.ts'

/** A deed as it is understood: amounts and values are base units and the parameter's own. */
export type ReadDeed =
  | { does: 'set'; name: ParameterName; value: bigint }
  | { does: 'pay'; to: Address; amount: bigint }
  | ({ does: 'call' } & Deed)

export async function deedsOf({ node, deployment }: Chain, id: bigint): Promise<ReadDeed[]> {
  const governor = { abi: daicnGovernorAbi, address: deployment.governor } as const
  const [targets, , calls] = await told(node.readContract({ ...governor, functionName: 'proposalDetails', args: [id] }))
  return targets.map((target, i) => readDeed(deployment, target, calls[i]!))
}

function readDeed({ parameters, token }: Chain['deployment'], target: Address, data: Hex): ReadDeed {
  const at = target.toLowerCase()
  try {
    if (at === parameters) {
      const call = decodeFunctionData({ abi: parametersAbi, data })
      if (call.functionName === 'set') return { does: 'set', name: PARAMETER_NAMES[call.args[0]]!, value: call.args[1] }
    }
    if (at === token) {
      const call = decodeFunctionData({ abi: daicnTokenAbi, data })
      if (call.functionName === 'transfer') return { does: 'pay', to: call.args[0], amount: call.args[1] }
    }
  } catch {
    // It is no call of that contract: told as it is.
  }
  return { does: 'call', target, data }
}

/** What was written to each proposal, by its id. */
export async function reasons({ node, deployment }: Chain): Promise<Map<bigint, string>> {
  const filter = { abi: daicnGovernorAbi, address: deployment.governor, eventName: 'ProposalCreated' } as const
  const created = await told(
    node.getContractEvents({ ...filter, strict: true, fromBlock: BigInt(deployment.block), toBlock: 'latest' }),
  )
  return new Map(created.map(({ args }) => [args.proposalId, args.description]))
}
