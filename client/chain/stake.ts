/** A provider's stake in the registry. Amounts are base units. */
import { providerRegistryAbi } from '#contracts/abi.ts'
import type { Address } from '#core/protocol/values.ts'
import { type Chain, type Sent, send, type Wallet } from './chain.ts'
import { told } from './fault.ts'
import { approve } from './token.ts'

export type StakeOnChain = {
  /** Signs what the agent states; null while the provider is not registered. */
  operator: Address | null
  /** What is leaving included. */
  stake: bigint
  unbonding: bigint
  /** Unix seconds; null while nothing is leaving. */
  unbondsAt: number | null
  /** Disputes that hold it. */
  holds: number
}

const registryOf = ({ deployment }: Chain) => ({ abi: providerRegistryAbi, address: deployment.registry }) as const

export async function stakeOf(chain: Chain, provider: Address): Promise<StakeOnChain> {
  const read = { ...registryOf(chain), functionName: 'providers', args: [provider] } as const
  const { operator, stake, unbonding, unbondsAt, holds } = await told(chain.node.readContract(read))
  const isRegistered = BigInt(operator) !== 0n
  return {
    operator: isRegistered ? (operator.toLowerCase() as Address) : null,
    stake,
    unbonding,
    unbondsAt: unbonding === 0n ? null : unbondsAt,
    holds,
  }
}

/** Registers the wallet as a provider whose agent signs by `operator`. */
export const register = (wallet: Wallet, operator: Address): Promise<Sent> =>
  send(wallet, { ...registryOf(wallet), functionName: 'register', args: [operator, ''] })

/** Adds tokens of the wallet to the stake of a registered provider: approves exactly as many first, if need be. */
export async function stake(wallet: Wallet, provider: Address, amount: bigint): Promise<Sent> {
  await approve(wallet, wallet.deployment.registry, amount)
  return send(wallet, { ...registryOf(wallet), functionName: 'stake', args: [provider, amount] })
}

/** Asks for stake of the wallet, which leaves 14 days later; what was asked for before waits again. */
export const requestUnbond = (wallet: Wallet, amount: bigint): Promise<Sent> =>
  send(wallet, { ...registryOf(wallet), functionName: 'requestUnbond', args: [amount] })

/** Pays out what was asked for 14 days ago. */
export const finalizeUnbond = (wallet: Wallet, provider: Address): Promise<Sent> =>
  send(wallet, { ...registryOf(wallet), functionName: 'finalizeUnbond', args: [provider] })
