import type { Address } from './protocol/values.ts'

/** Half the order of secp256k1's group. */
const HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n

/**
 * True for a key's signature in the one form that the contracts take. Each has a twin, by the negative of its `s`, that any
 * reader can make and most libraries take; the contracts do not, so who took it would hold a voucher or a proof worth nothing.
 * @param signature 65 bytes with `v` 27 or 28, or 64 bytes (ERC-2098)
 */
export function isCanonical(signature: string): boolean {
  if (!/^0x[0-9a-f]+$/i.test(signature)) return false
  if (signature.length === 130) return (BigInt(`0x${signature.slice(66)}`) & ((1n << 255n) - 1n)) <= HALF_ORDER
  return signature.length === 132 && /1[bc]$/i.test(signature) && BigInt(`0x${signature.slice(66, 130)}`) <= HALF_ORDER
}

/** By its length: a key signs in 64 bytes or 65, so a contract (ERC-1271) must in any other. */
export const isOfContract = (signature: string): boolean => signature.length !== 130 && signature.length !== 132

/** What a contract answers to, and its answer when it has signed. */
const ERC1271_ABI = [
  {
    type: 'function',
    name: 'isValidSignature',
    inputs: [
      { name: 'hash', type: 'bytes32' },
      { name: 'signature', type: 'bytes' },
    ],
    outputs: [{ name: '', type: 'bytes4' }],
    stateMutability: 'view',
  },
] as const
const ERC1271_MAGIC = '0x1626ba7e'

type Hex = `0x${string}`

/** A call of `isValidSignature`, as libraries take it. */
export type ContractQuestion = {
  abi: typeof ERC1271_ABI
  address: Address
  functionName: 'isValidSignature'
  args: readonly [hash: Hex, signature: Hex]
}

/**
 * As the signer says of itself, which is a contract; false where there is none.
 * @param ask puts the question to the chain
 * @param isAway tells whether an error is of the way there, which is thrown on
 */
export function isSignedByContract(
  signed: { signer: Address; hash: Hex; signature: Hex },
  ask: (question: ContractQuestion) => Promise<Hex>,
  isAway: (error: unknown) => boolean,
): Promise<boolean> {
  const { signer: address, hash, signature } = signed
  return ask({ abi: ERC1271_ABI, address, functionName: 'isValidSignature', args: [hash, signature] }).then(
    (answer) => answer === ERC1271_MAGIC,
    (error: unknown) => {
      if (isAway(error)) throw error
      return false
    },
  )
}

/**
 * Finds whose key signed a message, by a library's way of recovering it: null for the twin of a signature, and for what is none.
 * @param recover may reject
 */
export const recoverCanonical =
  <T>(recover: (message: T, signature: Hex) => Promise<string>) =>
  async (message: T, signature: Hex): Promise<Address | null> => {
    if (!isCanonical(signature)) return null
    return recover(message, signature).then(
      (address) => address.toLowerCase() as Address,
      () => null,
    )
  }
