/**
 * How far the work for each payer is covered: what it was charged, what leases may come to, and what its lane pays for sure.
 * No I/O and no clock. A requester may owe a little beyond that, the credit, so that not every first task waits for a lock.
 */
import { BELIEVED_MS, coveredBy } from '#core/lane.ts'
import { max, parseAmount } from '#core/money.ts'
import type { Lease } from '#core/protocol/lease.ts'
import type { LaneState } from './settlement.ts'

/** By its address; where it signs for an account itself, by that. */
export type Payer = string

/** One payer. `charged`: by its last voucher that was good. `seenAt`: when the chain was read, Unix milliseconds. */
type State = { charged: bigint; lane?: LaneState; seenAt: number }
/** What a lease may come to at most; `ended`: it was accepted, and waits to be in a voucher. */
type Taken = { payer: Payer; most: bigint; ended: boolean }

export type Cover = {
  credit: bigint
  payers: Map<Payer, State>
  /** Whose account it is: of no two, though an edge may say so, or one lane would cover the work for both. */
  owners: Map<string, Payer>
  leases: Map<string, Taken>
}

export const createCover = (credit: bigint): Cover => ({
  credit,
  payers: new Map(),
  owners: new Map(),
  leases: new Map(),
})

const stateOf = ({ payers }: Cover, payer: Payer): State => {
  const state = payers.get(payer) ?? { charged: 0n, seenAt: 0 }
  payers.set(payer, state)
  return state
}

/** Undefined where an edge does not say. */
export const payerOf = ({ account, terms }: Lease): Payer | undefined => account ?? terms?.requester

/** An edge says so. An account that is another's already stays so. */
export function noteOwner({ owners }: Cover, payer: Payer, account: string): void {
  if (!owners.has(account)) owners.set(account, payer)
}

/** A good voucher says so. */
export function noteCharged(cover: Cover, payer: Payer, charged: bigint): void {
  stateOf(cover, payer).charged = charged
}

/** The chain says so. */
export function noteLane(cover: Cover, account: string, lane: LaneState, now: number): void {
  const owner = cover.owners.get(account)
  if (owner) Object.assign(stateOf(cover, owner), { lane, seenAt: now })
}

export function takeOn(cover: Cover, lease: Lease): void {
  const payer = payerOf(lease)
  if (!payer || !lease.terms) return
  const most = parseAmount(lease.terms.ask) * BigInt(lease.maxUnits)
  cover.leases.set(lease.id, { payer, most, ended: false })
}

/** A lease was answered for. */
export function endOf(cover: Cover, lease: string, accepted: boolean): void {
  const taken = cover.leases.get(lease)
  if (accepted && taken) taken.ended = true
  else cover.leases.delete(lease)
}

/** Leases that ended so far: the vouchers that are asked for from now on hold them. */
export const endedOf = ({ leases }: Cover): string[] => [...leases].flatMap(([id, { ended }]) => (ended ? [id] : []))

/** Those vouchers came, but for payers whose voucher could not be checked. */
export function settleLeases({ leases }: Cover, ended: string[], unchecked: ReadonlySet<Payer>): void {
  for (const id of ended) {
    const taken = leases.get(id)
    if (taken && !unchecked.has(taken.payer)) leases.delete(id)
  }
}

/** Whether there is work for a payer that no voucher holds yet. */
export const worksFor = ({ leases }: Cover, payer: Payer): boolean =>
  [...leases.values()].some((taken) => taken.payer === payer)

/** What a payer may come to owe beyond what is sure: its lane does not reach so far, or no voucher says it. */
export function exposureTo(cover: Cover, payer: Payer, now: number): bigint {
  const { charged, lane, seenAt } = stateOf(cover, payer)
  const covered = lane && now - seenAt < BELIEVED_MS ? coveredBy(lane) : (lane?.paid ?? 0n)
  let open = 0n
  let unsigned = 0n
  for (const taken of cover.leases.values()) {
    if (taken.payer !== payer) continue
    if (taken.ended) unsigned += taken.most
    else open += taken.most
  }
  return max(max(charged + unsigned + open - covered, unsigned), 0n)
}

export const isCovered = (cover: Cover, payer: Payer, now: number): boolean =>
  exposureTo(cover, payer, now) <= cover.credit

/** Payers that have used up half of their credit. */
export const shortOf = (cover: Cover, now: number): Payer[] =>
  [...cover.payers.keys()].filter((payer) => exposureTo(cover, payer, now) * 2n > cover.credit)
