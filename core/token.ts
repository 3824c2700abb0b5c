/** What the holder of tokens signs, so that another may send it: the EIP-712 messages of DaicnToken. */
import type { Address } from './protocol/values.ts'

/** The token of one chain. */
export type Token = { chainId: number; address: Address }

/** EIP-712 name and version of the token. */
export const TOKEN_DOMAIN = { name: 'DAICN', version: '1' } as const

const domainOf = ({ chainId, address }: Token) => ({ ...TOKEN_DOMAIN, chainId, verifyingContract: address }) as const

/** "`spender` may take up to `value` of mine" (ERC-2612). Base units; the deadline in Unix seconds. */
export type Permit = { owner: Address; spender: Address; value: bigint; nonce: bigint; deadline: bigint }

/** The EIP-712 message of a permit. */
export function permitTypedData(token: Token, message: Permit) {
  const types = {
    Permit: [
      { name: 'owner', type: 'address' },
      { name: 'spender', type: 'address' },
      { name: 'value', type: 'uint256' },
      { name: 'nonce', type: 'uint256' },
      { name: 'deadline', type: 'uint256' },
    ],
  } as const
  return { domain: domainOf(token), types, primaryType: 'Permit', message } as const
}
