/**
 * How far the work for each requester is covered: what it was charged, what leases may come to, and what its lane pays for sure.
 * No I/O and no clock. A requester may owe a little beyond that, the credit, so that not every first task waits for a lock.
 */
import { coveredBy } from '#core/lane.ts'
import { max, parseAmount } from '#core/money.ts'
import type { Address, Lease } from '#core/protocol.ts'
import type { LaneState } from './settlement.ts'

/** One requester. `charged`: by its last voucher that was good. `seenAt`: when the chain was read, Unix milliseconds. */
type Payer = { charged: bigint; lane?: LaneState; seenAt: number }
/** What a lease may come to at most; `ended`: it was accepted, and waits to be in a voucher. */
type Taken = { requester: Address; most: bigint; ended: boolean }

export type Cover = {
  credit: bigint
  payers: Map<Address, Payer>
  /** Whose account it is: of no two, though an edge may say so, or one lane would cover the work for both. */
  owners: Map<string, Address>
  leases: Map<string, Taken>
}

/** A lane that was seen locked is locked for 36 hours more at least, in which it can be claimed; within a third of that it is believed. */
const BELIEVED_MS = 12 * 3_600_000

export const createCover = (credit: bigint): Cover => ({
  credit,
  payers: new Map(),
  owners: new Map(),
  leases: new Map(),
})

const payerOf = ({ payers }: Cover, requester: Address): Payer => {
  const payer = payers.get(requester) ?? { charged: 0n, seenAt: 0 }
  payers.set(requester, payer)
  return payer
}

/** A good voucher says so. */
export function noteCharged(cover: Cover, requester: Address, charged: bigint): void {
  payerOf(cover, requester).charged = charged
}

/** The chain says so. An account that was another's is passed over. */
export function noteLane(cover: Cover, requester: Address, account: string, lane: LaneState, now: number): void {
  const owner = cover.owners.get(account) ?? requester
  cover.owners.set(account, owner)
  if (owner !== requester) return
  Object.assign(payerOf(cover, requester), { lane, seenAt: now })
}

export function takeOn(cover: Cover, { id, terms, maxUnits }: Lease): void {
  if (!terms) return
  const most = parseAmount(terms.ask) * BigInt(maxUnits)
  cover.leases.set(id, { requester: terms.requester, most, ended: false })
}

/** A lease was answered for. */
export function endOf(cover: Cover, lease: string, accepted: boolean): void {
  const taken = cover.leases.get(lease)
  if (accepted && taken) taken.ended = true
  else cover.leases.delete(lease)
}

/** Leases that ended so far: the vouchers that are asked for from now on hold them. */
export const endedOf = ({ leases }: Cover): string[] => [...leases].flatMap(([id, { ended }]) => (ended ? [id] : []))

/** Those vouchers came. */
export function settleLeases(cover: Cover, ended: string[]): void {
  for (const id of ended) cover.leases.delete(id)
}

/** What a requester may come to owe beyond what is sure: its lane does not reach so far, or no voucher says it. */
export function exposureTo(cover: Cover, requester: Address, now: number): bigint {
  const { charged, lane, seenAt } = payerOf(cover, requester)
  const covered = lane && now - seenAt < BELIEVED_MS ? coveredBy(lane) : (lane?.paid ?? 0n)
  let open = 0n
  let unsigned = 0n
  for (const taken of cover.leases.values()) {
    if (taken.requester !== requester) continue
    if (taken.ended) unsigned += taken.most
    else open += taken.most
  }
  return max(max(charged + unsigned + open - covered, unsigned), 0n)
}

export const isCovered = (cover: Cover, requester: Address, now: number): boolean =>
  exposureTo(cover, requester, now) <= cover.credit

/** Requesters that have used up half of their credit. */
export const shortOf = (cover: Cover, now: number): Address[] =>
  [...cover.payers.keys()].filter((requester) => exposureTo(cover, requester, now) * 2n > cover.credit)
