import { keccak256, stringToBytes } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import type { Address } from '#core/protocol/values.ts'
import type { CountersignatureTypedData } from '#core/receipt.ts'

/** The edge's Ethereum key, which follows from its secret. */
export function edgeKeyOf(secret: string) {
  const account = privateKeyToAccount(keccak256(stringToBytes(`DAICN edge key\n${secret}`)))
  return {
    account,
    address: account.address.toLowerCase() as Address,
    sign: (data: CountersignatureTypedData) => account.signTypedData(data),
  }
}
