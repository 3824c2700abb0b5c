/** Votes, proposals, and the parameters that they may change. */
import { encodeFunctionData, type Hex, parseEventLogs, zeroAddress } from 'viem'
import { daicnGovernorAbi, daicnTokenAbi, parametersAbi, providerRegistryAbi } from '#contracts/abi.ts'
import { PARAMETER_NAMES, type ParameterName, SUPPORT, type Support } from '#core/parameters.ts'
import type { Address } from '#core/protocol/values.ts'
import { type Chain, chainTime, type Sent, send, type Wallet } from './chain.ts'
import { told } from './fault.ts'
import { PROPOSAL_STATES } from './refusal.ts'
import { stakeOf } from './stake.ts'
import { tokenOf } from './token.ts'

/** Amounts of tokens are base units. No vote moves it out of `low` and `high`. */
export type Parameter = { name: ParameterName; value: bigint; low: bigint; high: bigint }

/** Something that a proposal does when it is executed. */
export type Deed = { target: Address; data: Hex }

export type Proposal = {
  id: bigint
  state: (typeof PROPOSAL_STATES)[number]
  /** Votes, base units of tokens. */
  for: bigint
  against: bigint
  abstain: bigint
  quorum: bigint
  /** Unix seconds: voting begins after and ends at. */
  begins: bigint
  ends: bigint
  /** Unix seconds from which it can be executed; null before it is queued. */
  executableAt: bigint | null
}

const governorOf = ({ deployment }: Chain) => ({ abi: daicnGovernorAbi, address: deployment.governor }) as const
const indexOf = (name: ParameterName): number => PARAMETER_NAMES.indexOf(name)

export async function parameter({ node, deployment }: Chain, name: ParameterName): Promise<Parameter> {
  const contract = { abi: parametersAbi, address: deployment.parameters, args: [indexOf(name)] } as const
  const [value, [low, high]] = await Promise.all([
    told(node.readContract({ ...contract, functionName: 'get' })),
    told(node.readContract({ ...contract, functionName: 'bounds' })),
  ])
  return { name, value, low, high }
}

export const parameters = (chain: Chain): Promise<Parameter[]> =>
  Promise.all(PARAMETER_NAMES.map((name) => parameter(chain, name)))

/** Sets a parameter. */
export const setParameter = ({ deployment }: Chain, name: ParameterName, value: bigint): Deed => ({
  target: deployment.parameters,
  data: encodeFunctionData({ abi: parametersAbi, functionName: 'set', args: [indexOf(name), value] }),
})

/** Pays tokens of the treasury. */
export const payFromTreasury = ({ deployment }: Chain, to: Address, amount: bigint): Deed => ({
  target: deployment.token,
  data: encodeFunctionData({ abi: daicnTokenAbi, functionName: 'transfer', args: [to, amount] }),
})

/** Lets another, or the wallet itself, vote with its tokens, those at stake included. */
export async function delegate(wallet: Wallet, to: Address): Promise<Sent[]> {
  const sent = [await send(wallet, { ...tokenOf(wallet), functionName: 'delegate', args: [to] })]
  const { operator } = await stakeOf(wallet, wallet.account.address)
  if (operator === null) return sent
  const registry = { abi: providerRegistryAbi, address: wallet.deployment.registry } as const
  return [...sent, await send(wallet, { ...registry, functionName: 'delegate', args: [to] })]
}

/** Votes of an address a moment ago, base units, and to whom its tokens are delegated. */
export async function votesOf(chain: Chain, owner: Address): Promise<{ votes: bigint; delegate: Address | null }> {
  const at = (await chainTime(chain)) - 1n
  const [votes, delegated] = await Promise.all([
    told(chain.node.readContract({ ...governorOf(chain), functionName: 'getVotes', args: [owner, at] })),
    told(chain.node.readContract({ ...tokenOf(chain), functionName: 'delegates', args: [owner] })),
  ])
  return { votes, delegate: delegated === zeroAddress ? null : delegated }
}

export async function propose(wallet: Wallet, { target, data }: Deed, why: string): Promise<Sent & { id: bigint }> {
  const args = [[target], [0n], [data], why] as const
  const sent = await send(wallet, { ...governorOf(wallet), functionName: 'propose', args })
  const { logs } = await told(wallet.node.getTransactionReceipt({ hash: sent.hash }))
  const [created] = parseEventLogs({ abi: daicnGovernorAbi, eventName: 'ProposalCreated', logs })
  return { ...sent, id: created!.args.proposalId }
}

export async function proposal(chain: Chain, id: bigint): Promise<Proposal> {
  const { node } = chain
  const of = { ...governorOf(chain), args: [id] } as const
  const [state, [against, inFavour, abstain], begins, ends, eta] = await Promise.all([
    told(node.readContract({ ...of, functionName: 'state' })),
    told(node.readContract({ ...of, functionName: 'proposalVotes' })),
    told(node.readContract({ ...of, functionName: 'proposalSnapshot' })),
    told(node.readContract({ ...of, functionName: 'proposalDeadline' })),
    told(node.readContract({ ...of, functionName: 'proposalEta' })),
  ])
  // Before voting begins nobody knows how many tokens there will be to count.
  const now = await chainTime(chain)
  const at = begins < now ? begins : now - 1n
  const quorum = await told(node.readContract({ ...governorOf(chain), functionName: 'quorum', args: [at] }))
  const executableAt = eta === 0n ? null : eta
  const votes = { for: inFavour, against, abstain, quorum }
  return { id, state: PROPOSAL_STATES[state]!, ...votes, begins, ends, executableAt }
}

/** The newest proposals, newest first. */
export async function proposals(chain: Chain, most = 20): Promise<Proposal[]> {
  const { node } = chain
  const count = Number(await told(node.readContract({ ...governorOf(chain), functionName: 'proposalCount' })))
  const newest = Array.from({ length: Math.min(count, most) }, (_, i) => BigInt(count - 1 - i))
  return Promise.all(
    newest.map(async (index) => {
      const read = { ...governorOf(chain), functionName: 'proposalDetailsAt', args: [index] } as const
      const [id] = await told(node.readContract(read))
      return proposal(chain, id)
    }),
  )
}

export const vote = (wallet: Wallet, id: bigint, support: Support, reason = ''): Promise<Sent> =>
  send(wallet, {
    ...governorOf(wallet),
    functionName: 'castVoteWithReason',
    args: [id, SUPPORT.indexOf(support), reason],
  })

/** Hands a proposal that has succeeded to the timelock. */
export const queue = (wallet: Wallet, id: bigint): Promise<Sent> =>
  send(wallet, { ...governorOf(wallet), functionName: 'queue', args: [id] })

/** Does what a queued proposal says, once its time in the timelock is over. */
export const execute = (wallet: Wallet, id: bigint): Promise<Sent> =>
  send(wallet, { ...governorOf(wallet), functionName: 'execute', args: [id] })
