/** A provider's stake in the registry. Amounts are base units. */
import { providerRegistryAbi } from '#contracts/abi.ts'
import type { Address } from '#core/protocol/values.ts'
import { type Chain, chainTime, type Sent, send, type Wallet } from './chain.ts'
import { told } from './fault.ts'
import { approve } from './token.ts'

export type StakeOnChain = {
  /** Signs what the agent states; null while the provider is not registered. */
  operator: Address | null
  /** Who signs from when on, Unix seconds; null while no other is to. */
  next: { operator: Address; from: number } | null
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
  const [known, now] = await Promise.all([told(chain.node.readContract(read)), chainTime(chain)])
  const { stake, unbonding, unbondsAt, holds } = known
  const [operator, nextOperator] = [known.operator, known.nextOperator].map(keyOf)
  // The registry writes a rotation down with the next one, and goes by it from its time on.
  const isRotated = known.rotatesAt !== 0 && now >= known.rotatesAt
  return {
    operator: isRotated ? nextOperator! : operator!,
    next: nextOperator && !isRotated ? { operator: nextOperator, from: known.rotatesAt } : null,
    stake,
    unbonding,
    unbondsAt: unbonding === 0n ? null : unbondsAt,
    holds,
  }
}

const keyOf = (address: string): Address | null => (BigInt(address) === 0n ? null : (address.toLowerCase() as Address))

/** Registers the wallet as a provider whose agent signs by `operator`. */
export const register = (wallet: Wallet, operator: Address): Promise<Sent> =>
  send(wallet, { ...registryOf(wallet), functionName: 'register', args: [operator, ''] })

/** Has another key sign for the wallet's provider, an hour later; one that was replaced never comes back. */
export const rotateOperator = (wallet: Wallet, operator: Address): Promise<Sent> =>
  send(wallet, { ...registryOf(wallet), functionName: 'rotateOperator', args: [operator] })

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
