/** Who is calling: an API key of an account, or the session of an address that signed in. */
import { sign, verify } from 'hono/jwt'
import { SESSION_KEY } from '#core/account.ts'
import { DomainError } from '#core/errors.ts'
import { SCOPES, type Scope } from '#core/protocol/account.ts'
import { Address } from '#core/protocol/values.ts'
import { SESSION_SECONDS } from '#core/sign-in.ts'
import type { Network } from './env.ts'

export type Principal = {
  address: Address /** Whose purse pays: an API key's id, or the session. */
  key: string
  scopes: readonly Scope[]
}

/** What is known of a token: `origin` is where alone it is good, null for an API key. */
type Cached = { principal: Principal; until: number; origin: string | null }

/** How long a key's answer is believed without asking its account: a revoked key works at most this much longer. */
const KEY_CACHE_MS = 30_000
const CACHE_SIZE = 10_000
const cache = new Map<string, Cached>()

export async function issueSession(network: Network, address: Address, audience: string, now: number) {
  const exp = Math.floor(now / 1000) + SESSION_SECONDS
  const token = await sign({ sub: address, aud: audience, exp }, network.secret, 'HS256')
  return { token, expiresAt: exp * 1000, address }
}

/** What a call comes with: its `authorization` header, and the address it was sent to. */
export type Call = { header: string | undefined; url: string }

/** @throws DomainError missing_credentials, invalid_credentials, expired_token */
export async function authenticate(network: Network, { header, url }: Call, now: number): Promise<Principal> {
  const token = tokenOf(header)
  let known = cache.get(token)
  if (!known || known.until <= now) {
    known = token.startsWith('dk_') ? await byKey(network, token, now) : await bySession(network, token)
    if (cache.size >= CACHE_SIZE) cache.clear()
    cache.set(token, known)
  }
  if (known.origin !== null && !url.startsWith(`${known.origin}/`)) {
    throw new DomainError('invalid_credentials', { detail: 'the token is of a sign-in at another address' })
  }
  return known.principal
}

/** True for the operator's own token, where one is set. */
export const isOperator = (network: Network, header: string): boolean =>
  network.operatorToken !== undefined && sameText(tokenOf(header), network.operatorToken)

/** @throws DomainError missing_credentials, invalid_credentials */
function tokenOf(header: string | undefined): string {
  if (!header) throw new DomainError('missing_credentials')
  const token = /^Bearer ([\w.~+/=-]{1,2048})$/i.exec(header)?.[1]
  if (!token) throw new DomainError('invalid_credentials', { detail: 'the header is not "Bearer <token>"' })
  return token
}

async function bySession({ secret }: Network, token: string): Promise<Cached> {
  try {
    const { sub, aud, exp } = await verify(token, secret, 'HS256')
    const principal = { address: Address.parse(sub), key: SESSION_KEY, scopes: SCOPES }
    // Without an audience it is good nowhere.
    return { principal, until: exp! * 1000, origin: typeof aud === 'string' ? aud : '' }
  } catch (error) {
    const expired = error instanceof Error && error.name === 'JwtTokenExpired'
    throw new DomainError(expired ? 'expired_token' : 'invalid_credentials')
  }
}

/*
 * API keys: dk_<account>_<key id>_<secret>. The account is in the key so that its object can be asked without a look-up; the id
 * follows from the rest by the edge's secret, so that what somebody made up asks, and so makes, no object at all.
 */

export async function newKey(network: Network, address: Address) {
  const secret = randomHex(24)
  const id = await keyId(network, address, secret)
  return { id, hash: await sha256(secret), key: `dk_${address.slice(2)}_${id}_${secret}` }
}

const keyId = async (network: Network, address: Address, secret: string): Promise<string> =>
  (await sha256(`DAICN key id\n${address}\n${secret}\n${network.secret}`)).slice(0, 12)

/** The parts of an API key as it is written, or null. */
export function parseKey(token: string): { address: Address; id: string; secret: string } | null {
  const match = /^dk_([0-9a-f]{40})_([0-9a-f]{12})_([0-9a-f]{48})$/.exec(token)
  return match && { address: `0x${match[1]!}`, id: match[2]!, secret: match[3]! }
}

async function byKey(network: Network, token: string, now: number): Promise<Cached> {
  const parsed = parseKey(token)
  if (!parsed) throw new DomainError('invalid_credentials')
  const { address, id, secret } = parsed
  if (!sameText(id, await keyId(network, address, secret))) throw new DomainError('invalid_credentials')
  const key = await network.account(address).key(id)
  if (!key || !sameText(key.hash, await sha256(secret))) throw new DomainError('invalid_credentials')
  if (key.expiresAt !== null && key.expiresAt <= now)
    throw new DomainError('expired_token', { detail: 'the API key has expired' })
  const until = Math.min(now + KEY_CACHE_MS, key.expiresAt ?? Number.POSITIVE_INFINITY)
  return { principal: { address, key: key.id, scopes: key.scopes }, until, origin: null }
}

export function randomHex(bytes: number): string {
  return toHex(crypto.getRandomValues(new Uint8Array(bytes)))
}

/** Hex. */
export async function sha256(text: string): Promise<string> {
  return toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))))
}

const toHex = (bytes: Uint8Array): string => bytes.toHex()

/** Compares without telling by its time where the texts differ. */
function sameText(a: string, b: string): boolean {
  const encoder = new TextEncoder()
  return a.length === b.length && crypto.subtle.timingSafeEqual(encoder.encode(a), encoder.encode(b))
}
