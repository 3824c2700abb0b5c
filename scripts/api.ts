/** The edge's HTTP API, as a program calls it. */
import type { PrivateKeyAccount } from 'viem'
import type { Problem } from '../core/errors.ts'
import type { Address } from '../core/protocol.ts'
import { signInTypedData } from '../core/sign-in.ts'

/** An answer that is not a success, with the edge's own words. */
export class ApiError extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, problem: Partial<Problem>) {
    super([problem.title ?? `HTTP ${status}`, problem.detail, problem.hint].filter(Boolean).join('. '))
    this.name = 'ApiError'
    this.status = status
    this.code = problem.code ?? 'unknown'
  }
}

export type Caller = { edge: string; token?: string }

export async function send(caller: Caller, method: string, path: string, body?: unknown): Promise<Response> {
  const headers: Record<string, string> = {}
  if (caller.token !== undefined) headers.authorization = `Bearer ${caller.token}`
  if (body !== undefined) headers['content-type'] = 'application/json'
  const response = await fetch(caller.edge + path, {
    method,
    headers,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  if (response.ok) return response
  throw new ApiError(response.status, (await response.json().catch(() => ({}))) as Partial<Problem>)
}

export async function call<T>(caller: Caller, method: string, path: string, body?: unknown): Promise<T> {
  const response = await send(caller, method, path, body)
  return (response.status === 204 ? undefined : await response.json()) as T
}

export type Health = { ok: true; chainId: number }

/** Signs in by the account's key. @returns a session token */
export async function signIn(edge: string, account: PrivateKeyAccount): Promise<string> {
  const { chainId } = await call<Health>({ edge }, 'GET', '/v1/health')
  const message = {
    address: account.address.toLowerCase() as Address,
    audience: new URL(edge).origin,
    issuedAt: Date.now(),
  }
  const signature = await account.signTypedData(signInTypedData(chainId, message))
  const { token } = await call<{ token: string }>({ edge }, 'POST', '/v1/sign-in', { ...message, signature })
  return token
}
