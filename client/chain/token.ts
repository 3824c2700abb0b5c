/** Tokens in hand. Amounts are base units. */
import { daicnTokenAbi } from '#contracts/abi.ts'
import type { Address } from '#core/protocol/values.ts'
import { type Chain, type Sent, send, type Wallet } from './chain.ts'
import { chainFault, told } from './fault.ts'
import { wordsOf } from './refusal.ts'

export const tokenOf = ({ deployment }: Chain) => ({ abi: daicnTokenAbi, address: deployment.token }) as const

/** Tokens that an address holds. */
export const tokensOf = (chain: Chain, address: Address): Promise<bigint> =>
  told(chain.node.readContract({ ...tokenOf(chain), functionName: 'balanceOf', args: [address] }))

/** @throws DaicnError when the wallet holds fewer */
export async function mustHold(wallet: Wallet, amount: bigint): Promise<void> {
  const tokens = await tokensOf(wallet, wallet.account.address)
  if (tokens >= amount) return
  throw chainFault('insufficient_tokens', wordsOf('ERC20InsufficientBalance', ['', tokens, amount]))
}

/** Sends tokens of the wallet to an address, which holds them from then on. @throws DaicnError when there are fewer */
export async function transfer(wallet: Wallet, to: Address, amount: bigint): Promise<Sent> {
  await mustHold(wallet, amount)
  return send(wallet, { ...tokenOf(wallet), functionName: 'transfer', args: [to, amount] })
}

/** Lets a contract take so many tokens of the wallet, unless it may already. @throws DaicnError when there are fewer */
export async function approve(wallet: Wallet, spender: Address, amount: bigint): Promise<void> {
  await mustHold(wallet, amount)
  const read = { ...tokenOf(wallet), functionName: 'allowance', args: [wallet.account.address, spender] } as const
  if ((await told(wallet.node.readContract(read))) >= amount) return
  await send(wallet, { ...tokenOf(wallet), functionName: 'approve', args: [spender, amount] })
}
