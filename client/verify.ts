/** Apart from client/receipt.ts, which loads it when there is something to verify: it is larger than all the rest. */
import { recoverTypedDataAddress } from 'viem/utils'
import { type Check, checkReceipt, type ReceiptTypedData, type Tools } from '#core/receipt.ts'
import { recoverCanonical } from '#core/signature.ts'
import { sha256 } from './hash.ts'

/** Whose key signed an EIP-712 message, null when none did. */
export const recoverSigner = recoverCanonical((data: object, signature) =>
  recoverTypedDataAddress({ ...(data as ReceiptTypedData), signature }),
)

const tools: Tools = {
  hash: (text) => sha256(new TextEncoder().encode(text)),
  recover: recoverSigner,
}

export const verify = (receipt: unknown, output: unknown): Promise<Check[]> => checkReceipt(receipt, tools, output)
