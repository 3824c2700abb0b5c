/**
 * Vouchers: how a requester pays one provider off the chain. Amounts are cumulative over a lane's whole life, so only the
 * latest voucher matters and repeating one changes nothing. The messages are those of DaicnSettlement.
 */
import { DomainError } from './errors.ts'
import { max } from './money.ts'
import type { Address } from './protocol/values.ts'

type Hex = `0x${string}`

/** The contract that a message is for: no other contract and no other chain takes it. */
export type Settlement = { chainId: number; address: Address }

/** "The lane has paid at most `ceiling`", by the account's signer. */
export type Voucher = { account: Hex; receiver: Address; ceiling: bigint }
/** "What is free in the account is locked for the lane up to `cap`", by the account's signer, in one epoch of the lane. */
export type Lock = { account: Hex; receiver: Address; cap: bigint; epoch: bigint }
export type SignedLock = Lock & { signature: Hex }
/** "The lane may be unlocked at once", by the receiver. Unix seconds. */
export type Release = { account: Hex; receiver: Address; epoch: bigint; deadline: bigint }
/** "Anybody may claim these packed vouchers for me", by the receiver. Unix seconds. */
export type Claim = { receiver: Address; vouchers: Hex; deadline: bigint }

const domainOf = ({ chainId, address }: Settlement) =>
  ({ name: 'DAICN Settlement', version: '1', chainId, verifyingContract: address }) as const

const LANE = [
  { name: 'account', type: 'bytes32' },
  { name: 'receiver', type: 'address' },
] as const
const DEADLINE = { name: 'deadline', type: 'uint256' } as const
const EPOCH = { name: 'epoch', type: 'uint256' } as const

/** The EIP-712 message of a voucher. */
export function voucherTypedData(settlement: Settlement, message: Voucher) {
  const types = { Voucher: [...LANE, { name: 'ceiling', type: 'uint256' }] } as const
  return { domain: domainOf(settlement), types, primaryType: 'Voucher', message } as const
}

/** The EIP-712 message of a lock. */
export function lockTypedData(settlement: Settlement, message: Lock) {
  const types = { Lock: [...LANE, { name: 'cap', type: 'uint256' }, EPOCH] } as const
  return { domain: domainOf(settlement), types, primaryType: 'Lock', message } as const
}

/** The EIP-712 message of a release. */
export function releaseTypedData(settlement: Settlement, message: Release) {
  const types = { Release: [...LANE, EPOCH, DEADLINE] } as const
  return { domain: domainOf(settlement), types, primaryType: 'Release', message } as const
}

/** The EIP-712 message by which anybody may send a receiver's claim. */
export function claimTypedData(settlement: Settlement, message: Claim) {
  const types = {
    Claim: [{ name: 'receiver', type: 'address' }, { name: 'vouchers', type: 'bytes' }, DEADLINE],
  } as const
  return { domain: domainOf(settlement), types, primaryType: 'Claim', message } as const
}

/** A voucher as it is claimed: what the receiver asks for, at most the ceiling that was signed. */
export type SignedVoucher = { account: Hex; charged: bigint; ceiling: bigint; signature: Hex }

/** The most that a lane can pay over its life: 88 bits, some 309 million tokens. */
export const MAX_LANE = 2n ** 88n - 1n

/**
 * Vouchers as `claim` takes them: account (32 bytes), charged (11), ceiling (11), length of the signature (2), signature.
 * A key's signature of 65 bytes is packed as 64 (ERC-2098). Throws RangeError for an amount above `MAX_LANE`.
 */
export function packVouchers(vouchers: SignedVoucher[]): Hex {
  return `0x${vouchers.map(packVoucher).join('')}`
}

function packVoucher({ account, charged, ceiling, signature }: SignedVoucher): string {
  const signed = compactSignature(signature).slice(2)
  return account.slice(2) + amount(charged) + amount(ceiling) + digits(BigInt(signed.length / 2), 2) + signed
}

function amount(units: bigint): string {
  if (units < 0n || units > MAX_LANE) throw new RangeError(`a lane cannot hold ${units}`)
  return digits(units, 11)
}

const digits = (value: bigint, bytes: number): string => value.toString(16).padStart(2 * bytes, '0')

/** ERC-2098: the parity of a 65-byte signature moves into the top bit of its second word. Others stay as they are. */
export function compactSignature(signature: Hex): Hex {
  if (signature.length !== 2 + 65 * 2) return signature
  const v = BigInt(`0x${signature.slice(-2)}`)
  const parity = v < 27n ? v : v - 27n
  const s = BigInt(`0x${signature.slice(66, 130)}`)
  return `${signature.slice(0, 66) as Hex}${digits(s | (parity << 255n), 32)}`
}

/**
 * What both sides know of a lane. Invariants: paid <= charged <= ceiling, and none of them ever falls.
 * `locked` is what the chain has locked beyond `paid`.
 */
export type Lane = { charged: bigint; ceiling: bigint; paid: bigint; locked: bigint }

/** The ceiling that the next voucher must have, so that tasks that are held at `held` in all and one more can be charged. */
export function nextCeiling(lane: Lane, held: bigint, price: bigint): bigint {
  return max(lane.ceiling, lane.charged + held + price)
}

/** A lane after a voucher whose signature was checked. A ceiling that does not rise is refused: it was paid for before. */
export function acceptVoucher(lane: Lane, ceiling: bigint): Lane {
  if (ceiling <= lane.ceiling || ceiling > MAX_LANE) {
    throw new DomainError('voucher_refused', {
      detail: `The ceiling must be above ${lane.ceiling}, at most ${MAX_LANE}.`,
    })
  }
  return { ...lane, ceiling }
}

/** A lane after a task. It never charges more than was signed for. */
export function charge(lane: Lane, price: bigint): Lane {
  const charged = lane.charged + price
  if (price < 0n || charged > lane.ceiling) {
    throw new DomainError('voucher_refused', { detail: `${charged} is above the ceiling of ${lane.ceiling}.` })
  }
  return { ...lane, charged }
}

/** What a provider has worked for that nothing on chain guarantees: the most it can lose. */
export function exposure(lane: Lane): bigint {
  return max(lane.charged - lane.paid - lane.locked, 0n)
}
