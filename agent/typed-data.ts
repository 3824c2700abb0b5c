/**
 * The hash of an EIP-712 message whose fields take one word each (addresses, bytes32, integers), for an agent signs one with every
 * task. What messages share, their domain and their type, is hashed once. Formula: https://eips.ethereum.org/EIPS/eip-712
 */
import { keccak256, stringToHex } from 'viem/utils'

type Hex = `0x${string}`
type Field = { name: string; type: string }

export type FlatTypedData = {
  domain: { name: string; version: string; chainId: number; verifyingContract: Hex }
  types: Record<string, readonly Field[]>
  primaryType: string
  message: Record<string, Hex | bigint>
}

const DOMAIN: Field[] = [
  { name: 'name', type: 'string' },
  { name: 'version', type: 'string' },
  { name: 'chainId', type: 'uint256' },
  { name: 'verifyingContract', type: 'address' },
]

/** By what it is of: an agent meets one domain for each edge. */
const shared = new Map<string, { domain: string; type: string }>()

export function hashFlat({ domain, types, primaryType, message }: FlatTypedData): Hex {
  const fields = types[primaryType]!
  const key = JSON.stringify([domain, primaryType, fields])
  const known = shared.get(key) ?? { domain: hashDomain(domain), type: hashType(primaryType, fields) }
  shared.set(key, known)
  const words = fields.map(({ name }) => wordOf(message[name]!)).join('')
  return keccak256(`0x1901${known.domain}${hash(`0x${known.type}${words}`)}`)
}

function hashDomain({ name, version, chainId, verifyingContract }: FlatTypedData['domain']): string {
  const texts = hash(stringToHex(name)) + hash(stringToHex(version))
  return hash(`0x${hashType('EIP712Domain', DOMAIN)}${texts}${wordOf(BigInt(chainId))}${wordOf(verifyingContract)}`)
}

const hashType = (name: string, fields: readonly Field[]): string =>
  hash(stringToHex(`${name}(${fields.map(({ name, type }) => `${type} ${name}`).join()})`))

const hash = (bytes: Hex): string => keccak256(bytes).slice(2)

const wordOf = (value: Hex | bigint): string =>
  (typeof value === 'bigint' ? value.toString(16) : value.slice(2)).padStart(64, '0')
