import type { SeenLane } from './lane.ts'
import type { LaneClosing } from './protocol/lane-closing.ts'
import type { Address } from './protocol/values.ts'

/**
 * A purse: what one market has drawn from an account in advance, for one key of that account.
 * Tasks hold and capture from it without a call to the account; only cumulative totals travel, so repeating a message is harmless.
 * Invariants: no total ever shrinks; drawn = restored + captured + held + available; nothing is negative.
 */
export type Purse = {
  /** `<account>/<key>`. */
  id: string
  drawn: bigint
  /** Given back to the account unused. */
  restored: bigint
  captured: bigint
  held: bigint
  /** What the account has acknowledged of `captured` and `restored`. */
  settled: { captured: bigint; restored: bigint }
  /** When it last held anything, Unix milliseconds. */
  usedAt: number
  /** Of a lane: the voucher by which so much was drawn, and how the chain had the lane when it was taken. */
  signature?: `0x${string}`
  seen?: SeenLane
  /** Of a lane that takes no more tasks; `signed` is null until its provider has agreed. */
  closing?: { signed: LaneClosing | null }
  /** The account was asked for more and its answer is not written down: what it granted must be asked for again. */
  drawing: boolean
}

export const purseId = (account: Address, key: string): string => `${account}/${key}`

export function parsePurseId(id: string): { account: Address; key: string } {
  const slash = id.indexOf('/')
  return { account: id.slice(0, slash) as Address, key: id.slice(slash + 1) }
}

/**
 * The key of a purse that vouchers of the requester's own fill: one for each of its accounts on the chain and each provider. What was
 * drawn is the ceiling of its last voucher; nothing of it comes from the account here, and nothing goes back.
 */
export const laneKey = (account: string, provider: Address): string => `lane:${account}:${provider}`

/** Where a key begins in a purse's id, after an address and a slash; an account has 66 characters. */
const KEY = 43
const LANE = 'lane:'

/** Undefined for a purse that is no lane. */
export function laneOf(id: string): { account: `0x${string}`; provider: Address } | undefined {
  if (!id.startsWith(LANE, KEY)) return undefined
  const start = KEY + LANE.length
  return { account: id.slice(start, start + 66) as `0x${string}`, provider: id.slice(start + 67) as Address }
}

export const newPurse = (id: string): Purse => ({
  id,
  drawn: 0n,
  restored: 0n,
  captured: 0n,
  held: 0n,
  settled: { captured: 0n, restored: 0n },
  usedAt: 0,
  drawing: false,
})

export const available = (purse: Purse): bigint => purse.drawn - purse.restored - purse.captured - purse.held

/** How many times what is short a draw reaches for, so that a busy requester's account is asked rarely. */
const REACH = 256n

/** The totals to ask the account for when `short` is missing: what is needed, and what would be welcome. */
export function drawTargets(purse: Purse, short: bigint): { least: bigint; most: bigint } {
  return { least: purse.drawn + short, most: purse.drawn + short * REACH }
}

/** True while the account does not know all of this purse's totals. */
export const isUnsettled = (purse: Purse): boolean =>
  purse.settled.captured !== purse.captured || purse.settled.restored !== purse.restored
