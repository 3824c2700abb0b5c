/** A requester on a chain: its account, and how it pays into it, locks and signs vouchers. */
import { type Address, encodeAbiParameters, encodeFunctionData, type Hex, keccak256, parseSignature } from 'viem'
import type { PrivateKeyAccount } from 'viem/accounts'
import { daicnSettlementAbi, daicnTokenAbi } from '#contracts/abi.ts'
import { compactSignature, lockTypedData, type SignedVoucher, voucherTypedData } from '#core/voucher.ts'
import { keyed, type TestChain } from './chain.ts'

export type Requester = { payer: PrivateKeyAccount; signer: PrivateKeyAccount; account: Hex }

export function requester(name: string): Requester {
  const [payer, signer] = [keyed(`${name} payer`), keyed(`${name} signer`)]
  return { payer, signer, account: accountOf(payer.address, signer.address) }
}

export const accountOf = (payer: Address, signer: Address): Hex =>
  keccak256(encodeAbiParameters([{ type: 'address' }, { type: 'address' }], [payer, signer]))

export const transferCall = (to: Address, amount: bigint): Hex =>
  encodeFunctionData({ abi: daicnTokenAbi, functionName: 'transfer', args: [to, amount] })

export const approveCall = (spender: Address): Hex =>
  encodeFunctionData({ abi: daicnTokenAbi, functionName: 'approve', args: [spender, 2n ** 256n - 1n] })

/** A deposit by permit and the first lock of a lane, in one transaction of the payer. */
export async function depositAndLock(chain: TestChain, who: Requester, receiver: Address, amount: bigint, cap: bigint) {
  return multicall([await depositCall(chain, who, amount), await lockCall(chain, who, receiver, cap, 0n)])
}

/** A deposit that was approved before and a higher lock of a lane, in one transaction of the payer. */
export async function topUpCall(chain: TestChain, who: Requester, receiver: Address, amount: bigint, cap: bigint) {
  const args = [who.payer.address, who.signer.address, amount] as const
  const deposit = encodeFunctionData({ abi: daicnSettlementAbi, functionName: 'deposit', args })
  return multicall([deposit, await lockCall(chain, who, receiver, cap, 0n)])
}

/** Several calls in one transaction. */
export const multicall = (calls: Hex[]): Hex =>
  encodeFunctionData({ abi: daicnSettlementAbi, functionName: 'multicall', args: [calls] })

async function depositCall(chain: TestChain, { payer, signer }: Requester, amount: bigint): Promise<Hex> {
  const { chainId, token, settlement } = chain.deployment
  const nonce = await chain.client.readContract({
    abi: daicnTokenAbi,
    address: token,
    functionName: 'nonces',
    args: [payer.address],
  })
  const deadline = 2n ** 48n - 1n
  const signature = await payer.signTypedData({
    domain: { name: 'DAICN', version: '1', chainId, verifyingContract: token },
    types: {
      Permit: [
        { name: 'owner', type: 'address' },
        { name: 'spender', type: 'address' },
        { name: 'value', type: 'uint256' },
        { name: 'nonce', type: 'uint256' },
        { name: 'deadline', type: 'uint256' },
      ],
    },
    primaryType: 'Permit',
    message: { owner: payer.address, spender: settlement, value: amount, nonce, deadline },
  })
  const { r, s, yParity } = parseSignature(signature)
  return encodeFunctionData({
    abi: daicnSettlementAbi,
    functionName: 'depositWithPermit',
    args: [payer.address, signer.address, amount, deadline, 27 + yParity, r, s],
  })
}

export async function lockCall(chain: TestChain, who: Requester, receiver: Address, cap: bigint, epoch: bigint) {
  const message = { account: who.account, receiver, cap, epoch }
  const signature = await who.signer.signTypedData(lockTypedData(chain.settlement, message))
  return encodeFunctionData({
    abi: daicnSettlementAbi,
    functionName: 'lock',
    args: [who.account, receiver, cap, epoch, compactSignature(signature)],
  })
}

/** A voucher up to `ceiling`, all of it charged. */
export async function voucherOf(
  chain: TestChain,
  { account, signer }: Requester,
  receiver: Address,
  ceiling: bigint,
): Promise<SignedVoucher> {
  const signature = await signer.signTypedData(voucherTypedData(chain.settlement, { account, receiver, ceiling }))
  return { account, charged: ceiling, ceiling, signature }
}

export const claimCall = (receiver: Address, vouchers: Hex): Hex =>
  encodeFunctionData({ abi: daicnSettlementAbi, functionName: 'claim', args: [receiver, vouchers] })
