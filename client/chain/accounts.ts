/** Accounts and lanes of the settlement, as the chain knows them. Amounts are base units. */
import { encodeAbiParameters, type Hex, keccak256, parseSignature } from 'viem'
import { daicnSettlementAbi } from '#contracts/abi.ts'
import { max } from '#core/money.ts'
import type { Address } from '#core/protocol/values.ts'
import { permitTypedData } from '#core/token.ts'
import { compactSignature, lockTypedData, type Release, releaseTypedData } from '#core/voucher.ts'
import { type Chain, chainTime, type Sent, send, type Wallet } from './chain.ts'
import { settlementEvents } from './events.ts'
import { told } from './fault.ts'
import { mustHold, tokenOf, tokensOf } from './token.ts'

/** `signer` spends what is `free`, by vouchers; the payer alone can take it back. */
export type AccountOnChain = { account: Hex; signer: Address; free: bigint; locked: bigint }

/** What one account pays one provider, in all its life: `locked` is paid for sure beyond what is `paid`. */
export type LaneOnChain = {
  account: Hex
  receiver: Address
  paid: bigint
  cap: bigint
  locked: bigint
  epoch: bigint
  /** Unix seconds; null while nobody has asked to unlock it. */
  unlockAt: number | null
}

export type BalanceOnChain = {
  address: Address
  /** Wei, for fees. */
  ether: bigint
  tokens: bigint
  /** Claimed from requesters and not paid out yet. */
  earned: bigint
  accounts: AccountOnChain[]
}

/** An hour: long enough to be mined, too short to be of use to somebody who finds it. */
const PERMIT_SECONDS = 3600n

/** The id of the account in which `signer` spends the money of `payer`. */
export const accountId = (payer: Address, signer: Address): Hex =>
  keccak256(encodeAbiParameters([{ type: 'address' }, { type: 'address' }], [payer, signer]))

const settlementOf = ({ deployment }: Chain) => ({ abi: daicnSettlementAbi, address: deployment.settlement }) as const
const lower = (address: string) => address.toLowerCase() as Address

/** All that an address holds: in its hands, in its accounts, and earned as a provider. */
export async function balance(chain: Chain, address: Address): Promise<BalanceOnChain> {
  const { node } = chain
  const [ether, tokens, earnings, accounts] = await Promise.all([
    told(node.getBalance({ address })),
    tokensOf(chain, address),
    told(node.readContract({ ...settlementOf(chain), functionName: 'earnings', args: [address] })),
    accountsOf(chain, address),
  ])
  return { address, ether, tokens, earned: earnings.claimed - earnings.settled, accounts }
}

/** The accounts of a payer, found by the deposits into them. */
export async function accountsOf(chain: Chain, payer: Address): Promise<AccountOnChain[]> {
  const deposits = await settlementEvents(chain, 'Deposited', { payer })
  const signers = [...new Set(deposits.map(({ args }) => lower(args.signer!)))]
  return Promise.all(
    signers.map(async (signer) => {
      const account = accountId(payer, signer)
      const [free, lanes] = await Promise.all([freeIn(chain, account), lanesOf(chain, account)])
      return { account, signer, free, locked: lanes.reduce((sum, { locked }) => sum + locked, 0n) }
    }),
  )
}

async function freeIn(chain: Chain, account: Hex): Promise<bigint> {
  const read = { ...settlementOf(chain), functionName: 'accounts', args: [account] } as const
  return (await told(chain.node.readContract(read))).free
}

/** The lanes of an account, found by what was locked and claimed in them. */
export async function lanesOf(chain: Chain, account: Hex): Promise<LaneOnChain[]> {
  const [locked, claimed] = await Promise.all([
    settlementEvents(chain, 'Locked', { account }),
    settlementEvents(chain, 'Claimed', { account }),
  ])
  const receivers = new Set([...locked, ...claimed].map(({ args }) => lower(args.receiver!)))
  return Promise.all([...receivers].map((receiver) => laneOf(chain, account, receiver)))
}

export async function laneOf(chain: Chain, account: Hex, receiver: Address): Promise<LaneOnChain> {
  const read = { ...settlementOf(chain), functionName: 'lanes', args: [account, receiver] } as const
  const { paid, cap, epoch, unlockAt } = await told(chain.node.readContract(read))
  const locked = cap > paid ? cap - paid : 0n
  return { account, receiver, paid, cap, locked, epoch: BigInt(epoch), unlockAt: unlockAt === 0 ? null : unlockAt }
}

/** Moves tokens of the wallet into an account, by one transaction: the approval is a signature that goes with it. */
export async function deposit(wallet: Wallet, amount: bigint, payer: Address, signer: Address): Promise<Sent> {
  const { node, account, deployment } = wallet
  const { chainId, token, settlement } = deployment
  const owner = lower(account.address)
  await mustHold(wallet, amount)
  const [nonce, now] = await Promise.all([
    told(node.readContract({ ...tokenOf(wallet), functionName: 'nonces', args: [owner] })),
    chainTime(wallet),
  ])
  const deadline = now + PERMIT_SECONDS
  const permit = { owner, spender: settlement, value: amount, nonce, deadline }
  const typedData = permitTypedData({ chainId, address: token }, permit)
  const signature = await told(node.signTypedData({ account, ...typedData }))
  const { r, s, yParity } = parseSignature(signature)
  const args = [payer, signer, amount, deadline, 27 + yParity, r, s] as const
  return send(wallet, { ...settlementOf(wallet), functionName: 'depositWithPermit', args })
}

/** Takes free money of an account of the wallet back, at once. */
export const withdraw = (wallet: Wallet, signer: Address, amount: bigint): Promise<Sent> =>
  send(wallet, { ...settlementOf(wallet), functionName: 'withdraw', args: [signer, amount] })

/** Locks so much more for a provider. The wallet must be the account's signer. */
export async function lock(wallet: Wallet, payer: Address, receiver: Address, amount: bigint): Promise<Sent> {
  const { chainId, settlement } = wallet.deployment
  const account = accountId(payer, lower(wallet.account.address))
  const { paid, cap, epoch } = await laneOf(wallet, account, receiver)
  const message = { account, receiver, cap: max(cap, paid) + amount, epoch }
  const typedData = lockTypedData({ chainId, address: settlement }, message)
  const signature = await told(wallet.node.signTypedData({ account: wallet.account, ...typedData }))
  const args = [account, receiver, message.cap, epoch, compactSignature(signature)] as const
  return send(wallet, { ...settlementOf(wallet), functionName: 'lock', args })
}

/** Pays out what an address has earned and was not paid yet, to that address: a provider, or the timelock, which earns the fees. */
export const settle = (wallet: Wallet, receiver: Address): Promise<Sent> =>
  send(wallet, { ...settlementOf(wallet), functionName: 'settle', args: [receiver] })

/** Asks for what is locked, which is free again 36 hours later. Only the payer may. */
export const requestUnlock = (wallet: Wallet, signer: Address, receiver: Address): Promise<Sent> =>
  send(wallet, { ...settlementOf(wallet), functionName: 'requestUnlock', args: [signer, receiver] })

/** Frees a lane at once, as whoever it pays: the wallet must be the receiver, or the operator that it named to the settlement. */
export async function release(wallet: Wallet, account: Hex, receiver: Address): Promise<Sent> {
  const { chainId, settlement } = wallet.deployment
  const { epoch } = await laneOf(wallet, account, receiver)
  const message = { account, receiver, epoch, deadline: (await chainTime(wallet)) + PERMIT_SECONDS }
  const typedData = releaseTypedData({ chainId, address: settlement }, message)
  const signature = await told(wallet.node.signTypedData({ account: wallet.account, ...typedData }))
  return releaseSigned(wallet, message, signature)
}

/** Frees a lane at once, by what its receiver has signed. Anybody may. */
export const releaseSigned = (
  wallet: Wallet,
  { account, receiver, epoch, deadline }: Release,
  signature: Hex,
): Promise<Sent> =>
  send(wallet, {
    ...settlementOf(wallet),
    functionName: 'release',
    args: [account, receiver, epoch, deadline, signature],
  })

/** Frees what was asked for 36 hours ago. */
export const finalizeUnlock = (wallet: Wallet, account: Hex, receiver: Address): Promise<Sent> =>
  send(wallet, { ...settlementOf(wallet), functionName: 'finalizeUnlock', args: [account, receiver] })
