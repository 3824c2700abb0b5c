import type { Address } from './protocol/values.ts'

/** How far a sign-in's time may be from the edge's clock, milliseconds. */
export const SIGN_IN_WINDOW_MS = 5 * 60_000
/** How long a session token lives, seconds. */
export const SESSION_SECONDS = 12 * 60 * 60

/**
 * The EIP-712 message by which an address signs in to one edge.
 * @param audience origin of the edge, so that another edge cannot use the signature
 * @param issuedAt Unix milliseconds; also the nonce: the edge takes each address's times only in growing order
 */
export function signInTypedData(chainId: number, message: { address: Address; audience: string; issuedAt: number }) {
  return {
    domain: { name: 'DAICN', version: '1', chainId },
    types: {
      SignIn: [
        { name: 'address', type: 'address' },
        { name: 'audience', type: 'string' },
        { name: 'issuedAt', type: 'uint64' },
      ],
    },
    primaryType: 'SignIn',
    message: { ...message, issuedAt: BigInt(message.issuedAt) },
  } as const
}
