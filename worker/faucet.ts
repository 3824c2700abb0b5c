/** Tokens to try with, on development networks. */
import { checkFaucet, FAUCET_AMOUNT } from '#core/account.ts'
import { DomainError } from '#core/errors.ts'
import type { Address } from '#core/protocol/values.ts'
import type { Network } from './env.ts'
import { followChain } from './jobs/follow-chain.ts'
import { logChainError } from './log.ts'
import { unwrap } from './outcome.ts'

/** Where there is a chain the tokens are deposited on it, and show as soon as that is confirmed. */
export async function takeFromFaucet(network: Network, address: Address): Promise<void> {
  const { chain, isDevelopment } = network
  if (!isDevelopment || (chain && !chain.faucet)) throw new DomainError('faucet_closed')
  const account = network.account(address)
  if (!chain?.faucet) return unwrap(await account.faucet())
  checkFaucet((await account.balances()).deposited)
  try {
    await chain.faucet.deposit(address, network.signerOf(address).signer, FAUCET_AMOUNT)
  } catch (error) {
    logChainError(error)
    throw new DomainError('chain_unreachable')
  }
  await followChain(network)
}
