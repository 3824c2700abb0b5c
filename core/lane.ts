/** Lanes as a market uses them: what of a deposit is locked for one provider, so that its work is paid for sure. */
import * as z from 'zod'
import type { Book } from './book.ts'
import { type Charge, chargesAfter } from './charges.ts'
import { parseLeaseId } from './lease.ts'
import { max, min, ONE_TOKEN } from './money.ts'
import { IdempotencyHeaders } from './protocol/task.ts'
import { Address, Amount, Bytes32, Hex } from './protocol/values.ts'
import { laneKey, laneOf, type Purse, purseId } from './purse.ts'

/** A lane and its account as the chain has them; base units, `unlockAt` in Unix seconds, 0 while nobody asked to unlock. */
export type LaneOnChain = {
  signer: Address
  free: bigint
  paid: bigint
  cap: bigint
  epoch: number
  unlockAt: number
}

/** A lane as the chain had it at that time, Unix milliseconds. */
export type SeenLane = { lane: LaneOnChain; at: number }

/** What a lane has paid or will pay for sure, over its life. One that is being unlocked promises nothing more. */
export const coveredBy = ({ paid, cap, unlockAt }: Pick<LaneOnChain, 'paid' | 'cap' | 'unlockAt'>): bigint =>
  unlockAt === 0 ? max(paid, cap) : paid

/** A lane that was seen locked is locked for 36 hours more at least, in which it can be claimed; within a third of that it is believed. */
export const BELIEVED_MS = 12 * 3_600_000

/** A lock costs the edge a transaction, so it locks at least so much. */
export const LEAST_LOCK = ONE_TOKEN / 100n
/** Locked ahead of need, at least, so that locks stay rare. */
const AHEAD = ONE_TOKEN / 10n

/**
 * The cap to lock a lane up to when it may come to pay `due` in all: what that needs, and a quarter of it ahead. Of what is free
 * beyond the need it takes a quarter at most, for there are other providers.
 * @returns null while what is locked will do, or when there is too little to be worth a lock
 */
export function nextCap(lane: LaneOnChain, due: bigint): bigint | null {
  const { free, paid, cap, unlockAt } = lane
  if (unlockAt !== 0) return null
  const covered = max(paid, cap)
  const ahead = max(AHEAD, due / 4n)
  if (covered - due >= ahead / 2n) return null
  const need = min(max(due - covered, 0n), free)
  const added = need + min(ahead, (free - need) / 4n)
  return added < LEAST_LOCK ? null : covered + added
}

/**
 * What a provider's work was charged at and its leases may come to, for a requester that the edge signs for; null when they have
 * nothing to do with each other.
 */
export function dueTo(book: Book, address: Address, requester: Address): bigint | null {
  const provider = book.providers.get(address)
  if (!provider) return null
  let due = provider.charges.get(requester)?.amount ?? null
  for (const [id, { task }] of provider.leases) {
    const { spec, attempts } = book.tasks.get(task)!.task
    if (spec.requester !== requester || laneOf(spec.purse)) continue
    due = (due ?? 0n) + attempts[parseLeaseId(id)!.attempt - 1]!.ask * BigInt(spec.maxUnits)
  }
  return due
}

/** What was signed for a lane in all, base units. */
export type Signed = { ceiling: bigint; signature: `0x${string}` }

/** Charges that grew after `mark`, with the last voucher where the requester signs itself. */
export function chargesWithVouchers(
  book: Book,
  address: Address,
  mark: bigint,
  limit: number,
): (Charge & { voucher?: Signed })[] {
  const charges = chargesAfter(book.providers.get(address)?.charges ?? new Map(), mark, limit)
  return charges.map((charge) => {
    const voucher = charge.account && signedFor(book, charge.requester, charge.account, address)
    return voucher ? { ...charge, voucher } : charge
  })
}

/** Undefined for a lane that its requester never signed for. */
export const lanePurse = (book: Book, requester: Address, account: string, provider: Address): Purse | undefined =>
  book.purses.get(purseId(requester, laneKey(account, provider)))

export function signedFor(book: Book, requester: Address, account: string, provider: Address): Signed | null {
  const purse = lanePurse(book, requester, account, provider)
  return purse?.signature ? { ceiling: purse.drawn, signature: purse.signature } : null
}

/** How the lane was last seen, with a voucher that was taken, if that is still believed. */
export function believedLane(
  book: Book,
  requester: Address,
  account: string,
  provider: Address,
  now: number,
): SeenLane | null {
  const seen = lanePurse(book, requester, account, provider)?.seen
  return seen && now - seen.at < BELIEVED_MS ? seen : null
}

/** Of a lane's signer, which may be a contract. */
const LaneSignature = z
  .string()
  .regex(/^0x([0-9a-f]{2}){1,1024}$/, 'must be a signature in lower-case hex') as unknown as z.ZodType<`0x${string}`>

/** What a requester that signs itself is asked for. */
export const LaneDemand = z
  .object({
    settlement: z.object({ chainId: z.int(), address: Address }),
    account: Bytes32,
    provider: Address,
    ceiling: Amount.describe('What the next voucher must come to.'),
    signed: z
      .object({ ceiling: Amount, signature: LaneSignature })
      .nullable()
      .describe('Your last voucher for this lane, as you signed it.'),
    free: Amount,
    paid: Amount,
    cap: Amount.describe('A voucher above this needs a lock too.'),
    epoch: z.int(),
  })
  .meta({ id: 'LaneDemand' })
export type LaneDemand = z.output<typeof LaneDemand>

/** What such a requester sends: a voucher, and a lock where its lane does not reach. Amounts are tokens. */
export const SignedLane = z.object({
  provider: Address,
  ceiling: Amount,
  signature: LaneSignature,
  lock: z.object({ cap: Amount, epoch: z.int().min(0), signature: LaneSignature }).optional(),
})
export type SignedLane = z.output<typeof SignedLane>

/** What a call that submits tasks may say of them in its headers. */
export const SubmitHeaders = IdempotencyHeaders.extend({
  'voucher-signer': Address.optional().describe('The call is paid by the account that this key signs for.'),
  voucher: z
    .string()
    .max(4096)
    .optional()
    .describe('What a `voucher_required` asks for, signed: JSON of `SignedLane` in base64.'),
})
export type SubmitHeaders = z.output<typeof SubmitHeaders>

export const LockLane = z
  .strictObject({ requester: Address.describe('Of a lease that you hold, or whose work you have done.') })
  .meta({ id: 'LockLane' })

export const LaneView = z
  .object({
    requester: Address,
    account: Hex.describe("The requester's account on the chain."),
    due: Amount.describe('What it was charged for your work, and what your leases may come to, over all time.'),
    paid: Amount,
    cap: Amount.describe('What the lane has paid or will pay for sure, once `transaction` is in a block.'),
    transaction: Hex.nullable().describe('The lock that was sent for this; null when none was needed or possible.'),
  })
  .meta({ id: 'Lane' })
export type LaneView = z.output<typeof LaneView>
