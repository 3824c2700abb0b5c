import { hashTypedData, recoverTypedDataAddress, verifyTypedData } from 'viem/utils'
import type { Address } from '#core/protocol/values.ts'
import type { ReceiptTypedData } from '#core/receipt.ts'
import { signInTypedData } from '#core/sign-in.ts'
import { isCanonical, recoverCanonical } from '#core/signature.ts'

export type SignInMessage = { address: Address; audience: string; issuedAt: number }

/** True when `message` was signed for this chain by the key of its address. */
export async function isSignedBy(chainId: number, message: SignInMessage, signature: `0x${string}`): Promise<boolean> {
  if (!isCanonical(signature)) return false
  try {
    return await verifyTypedData({ ...signInTypedData(chainId, message), address: message.address, signature })
  } catch {
    // viem throws on a signature that is no point of the curve; to the caller it is as wrong as any other.
    return false
  }
}

/** What of an EIP-712 message is signed. */
export const hashOf = (data: object): `0x${string}` => hashTypedData(data as ReceiptTypedData)

/** Whose key signed an EIP-712 message, null when none did. */
export const recoverSigner = recoverCanonical((data: object, signature) =>
  recoverTypedDataAddress({ ...(data as ReceiptTypedData), signature }),
)
