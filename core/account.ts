/**
 * An account: what its owner deposited, what markets have drawn from it, what its providers earned, and its keys.
 * Markets speak in cumulative totals, so a repeated or late message changes nothing.
 * Invariant: deposited = free + sum over draws of (drawn - restored). Free is negative only when its owner took out on the chain
 * what a market had drawn; then nothing more is drawn.
 */
import { DomainError } from './errors.ts'
import { max, min, ONE_TOKEN } from './money.ts'
import type { Scope } from './protocol/account.ts'

/** What one market has drawn on one key, and has reported since. */
type Draw = { drawn: bigint; captured: bigint; restored: bigint }

export type ApiKey = {
  id: string
  name: string
  /** Hex SHA-256 of the secret; the secret itself is shown once and kept nowhere. */
  hash: string
  scopes: Scope[]
  budget: bigint | null
  expiresAt: number | null
  createdAt: number
}

export type Account = {
  /** By the faucet, or on the chain less what was taken out again. */
  deposited: bigint
  /** When the chain was last read with news of it, Unix milliseconds. */
  fundedAt: number
  /** By `<cell>/<key>`. */
  draws: Map<string, Draw>
  /** By cell. */
  earned: Map<string, bigint>
  keys: Map<string, ApiKey>
  /** The cell where it is at home as a provider; null before it is one in a market of several. */
  home: string | null
  /** Time of the last sign-in, Unix milliseconds: the nonce of the next must be greater. */
  signedInAt: number
}

/** What changes an account, as it is written down. */
export type AccountEvent =
  | { type: 'deposited'; at: number; amount: bigint; source: 'faucet' }
  /** What the chain says, as it was read at `at`: deposited and not taken out, in all. */
  | { type: 'funded'; at: number; total: bigint }
  | { type: 'drew'; at: number; cell: string; key: string; total: bigint }
  | { type: 'settled'; at: number; cell: string; key: string; captured: bigint; restored: bigint }
  | { type: 'earned'; at: number; cell: string; total: bigint }
  | { type: 'settled_in'; at: number; cell: string }
  | { type: 'signed_in'; at: number; issuedAt: number }
  | { type: 'key_made'; at: number; key: ApiKey }
  | { type: 'key_revoked'; at: number; id: string }

export function createAccount(): Account {
  return { deposited: 0n, fundedAt: 0, draws: new Map(), earned: new Map(), keys: new Map(), home: null, signedInAt: 0 }
}

/** The key under which a signed-in owner spends: no budget but the balance. */
export const SESSION_KEY = 'session'

const drawKey = (cell: string, key: string) => `${cell}/${key}`

export function applyToAccount(account: Account, event: AccountEvent): void {
  switch (event.type) {
    case 'deposited':
      account.deposited += event.amount
      return
    case 'funded':
      if (event.at < account.fundedAt) return
      account.deposited = event.total
      account.fundedAt = event.at
      return
    case 'drew':
      drawOf(account, event.cell, event.key).drawn = event.total
      return
    case 'settled': {
      const draw = drawOf(account, event.cell, event.key)
      draw.captured = max(draw.captured, event.captured)
      draw.restored = max(draw.restored, event.restored)
      return
    }
    case 'earned':
      account.earned.set(event.cell, max(account.earned.get(event.cell) ?? 0n, event.total))
      return
    case 'settled_in':
      account.home = event.cell
      return
    case 'signed_in':
      account.signedInAt = event.issuedAt
      return
    case 'key_made':
      account.keys.set(event.key.id, event.key)
      return
    case 'key_revoked':
      account.keys.delete(event.id)
      return
  }
}

export function drawOf(account: Account, cell: string, key: string): Draw {
  const id = drawKey(cell, key)
  const draw = account.draws.get(id) ?? { drawn: 0n, captured: 0n, restored: 0n }
  account.draws.set(id, draw)
  return draw
}

/** What no market has drawn. */
export function freeOf(account: Account): bigint {
  let free = account.deposited
  for (const { drawn, restored } of account.draws.values()) free -= drawn - restored
  return free
}

export function earnedOf(account: Account): bigint {
  let earned = 0n
  for (const total of account.earned.values()) earned += total
  return earned
}

/** What may still be drawn on a key: the account's free balance, and no more than the key's budget leaves. */
export function drawable(account: Account, keyId: string, now: number): bigint {
  if (keyId === SESSION_KEY) return freeOf(account)
  const key = account.keys.get(keyId)
  if (!key || (key.expiresAt !== null && key.expiresAt <= now)) return 0n
  const free = freeOf(account)
  if (key.budget === null) return free
  let left = key.budget
  for (const [id, { drawn, restored }] of account.draws) if (id.endsWith(`/${keyId}`)) left -= drawn - restored
  return min(free, left < 0n ? 0n : left)
}

/**
 * The total a market ends up with on a key: at least `least`, or nothing more if that cannot be had; and up to `most`, but
 * beyond what is needed never more than a quarter of what is free, so that one key's reserve does not starve another's.
 */
export function grantDraw(
  account: Account,
  draw: { cell: string; key: string; least: bigint; most: bigint },
  now: number,
): bigint {
  const { drawn } = drawOf(account, draw.cell, draw.key)
  if (draw.least <= drawn) return drawn
  const limit = drawable(account, draw.key, now)
  if (drawn + limit < draw.least) return drawn
  return drawn + max(draw.least - drawn, min(draw.most - drawn, limit / 4n))
}

/** What the development faucet gives at a time, and in all. */
export const FAUCET_AMOUNT = 100n * ONE_TOKEN
const FAUCET_LIMIT = 1_000_000n * ONE_TOKEN

/** Refuses what would be more than an account may have of the faucet. */
export function checkFaucet(deposited: bigint): void {
  if (deposited + FAUCET_AMOUNT > FAUCET_LIMIT) throw new DomainError('faucet_limit')
}

/** Refuses a sign-in that was used before; the nonce is its time, which must grow. */
export function checkSignIn(account: Account, issuedAt: number): void {
  if (issuedAt > account.signedInAt) return
  throw new DomainError('stale_sign_in', { detail: 'this or a later message was already used' })
}
