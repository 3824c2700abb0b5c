import type * as z from 'zod'
import type { AccountView, CreateKey, KeyView } from '#core/protocol/account.ts'
import type { Address } from '#core/protocol/values.ts'
import { signInTypedData } from '#core/sign-in.ts'
import { type Connection, call, insist, send } from './edge.ts'
import type { Signal } from './task.ts'

/** What is needed of an Ethereum account; those of viem have it. */
export type Signer = {
  address: Address
  signTypedData: (data: ReturnType<typeof signInTypedData>) => Promise<`0x${string}`>
}

/** `address` countersigns receipts, and `court` is whose proofs they are. */
export type Health = {
  ok: true
  chainId: number
  court: Address
  address: Address
  development: boolean
  protocol: number
}
export type Session = { token: string; expiresAt: number; address: Address }

/** A clock that is further from the edge's than this is not used to sign. */
const SKEW_MS = 60_000

/** Signs in to an edge. The token may do all that the address may: keys can be made with it, and tasks submitted. */
export async function signIn(connection: Connection, signer: Signer, { signal }: Signal = {}): Promise<Session> {
  const response = await send(connection, 'GET', '/v1/health', { signal })
  const { chainId } = (await response.json()) as Health
  const edgeNow = Date.parse(response.headers.get('date') ?? '')
  const now = Date.now()
  const issuedAt = Math.abs(edgeNow - now) > SKEW_MS ? edgeNow : now
  const address = signer.address.toLowerCase() as Address
  const message = { address, audience: new URL(connection.edge).origin, issuedAt }
  const signature = await signer.signTypedData(signInTypedData(chainId, message))
  return call(connection, 'POST', '/v1/sign-in', { body: { ...message, signature }, signal })
}

export const health = (connection: Connection, { signal }: Signal = {}) =>
  insist<Health>(connection, 'GET', '/v1/health', { signal })

export const account = (connection: Connection, { signal }: Signal = {}) =>
  insist<AccountView>(connection, 'GET', '/v1/account', { signal })

/** Tokens to try with, where the network gives them. */
export const faucet = (connection: Connection, { signal }: Signal = {}) =>
  call<AccountView>(connection, 'POST', '/v1/account/faucet', { signal })

export async function listKeys(connection: Connection, { signal }: Signal = {}): Promise<KeyView[]> {
  return (await insist<{ keys: KeyView[] }>(connection, 'GET', '/v1/keys', { signal })).keys
}

/** @returns the key itself too, which is told this once */
export const createKey = (connection: Connection, key: z.input<typeof CreateKey>, { signal }: Signal = {}) =>
  call<KeyView & { key: string }>(connection, 'POST', '/v1/keys', { body: key, signal })

export const revokeKey = (connection: Connection, id: string, { signal }: Signal = {}) =>
  insist<void>(connection, 'DELETE', `/v1/keys/${encodeURIComponent(id)}`, { signal })
