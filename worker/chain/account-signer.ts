import { encodeAbiParameters, keccak256, stringToBytes } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import type { Address } from '#core/protocol/values.ts'
import { type Lock, lockTypedData, type Settlement, voucherTypedData } from '#core/voucher.ts'

/**
 * The key that spends for one account on the chain: its own, so that what it signs can never reach beyond that account's
 * balance. It follows from the edge's secret.
 */
export function signerOf(secret: string, payer: Address) {
  const key = privateKeyToAccount(keccak256(stringToBytes(`DAICN account signer\n${payer}\n${secret}`)))
  const signer = key.address.toLowerCase() as Address
  const account = accountIdOf(payer, signer)
  return {
    signer,
    account,
    /** Signs that the lane to `receiver` has paid at most `ceiling` in all, base units. */
    signVoucher: (settlement: Settlement, receiver: Address, ceiling: bigint): Promise<`0x${string}`> =>
      key.signTypedData(voucherTypedData(settlement, { account, receiver, ceiling })),
    /** Signs that what is free is locked for a lane. */
    signLock: (settlement: Settlement, lock: Omit<Lock, 'account'>): Promise<`0x${string}`> =>
      key.signTypedData(lockTypedData(settlement, { account, ...lock })),
  }
}

/** The id of the account in which `signer` spends the money of `payer`. */
export const accountIdOf = (payer: Address, signer: Address): `0x${string}` =>
  keccak256(encodeAbiParameters([{ type: 'address' }, { type: 'address' }], [payer, signer]))
