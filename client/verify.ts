/** Apart from client/receipt.ts, which loads it when there is something to verify: it is larger than all the rest. */
import { recoverTypedDataAddress } from 'viem/utils'
import type { Address } from '#core/protocol.ts'
import { type Check, checkReceipt, type ReceiptTypedData, type Tools } from '#core/receipt.ts'
import { isCanonical } from '#core/signature.ts'
import { sha256 } from './hash.ts'

const tools: Tools = {
  hash: (text) => sha256(new TextEncoder().encode(text)),
  recover: recoverSigner,
}

/** Whose key signed an EIP-712 message, null when none did. */
export async function recoverSigner(data: object, signature: `0x${string}`): Promise<Address | null> {
  if (!isCanonical(signature)) return null
  try {
    return (await recoverTypedDataAddress({ ...(data as ReceiptTypedData), signature })).toLowerCase() as Address
  } catch {
    return null
  }
}

export const verify = (receipt: unknown, output: unknown): Promise<Check[]> => checkReceipt(receipt, tools, output)
