/** Sends webhooks in the form of Standard Webhooks: https://www.standardwebhooks.com */
import { DomainError } from '#core/errors.ts'
import type { Address } from '#core/protocol/values.ts'
import type { TaskRequest } from '#core/request.ts'
import { toBase64 } from './base64.ts'
import type { Network } from './env.ts'

/** How long a receiver may take to answer. */
const ANSWER_MS = 10_000
const PREFIX = 'whsec_'

export const newWebhookSecret = (): string => PREFIX + toBase64(crypto.getRandomValues(new Uint8Array(32)))

export type Message = { id: string; body: string }

/**
 * One attempt. Redirects are not followed, and of the answer only its status is read.
 * @param now Unix milliseconds
 * @returns the HTTP status, or why there is none; one of them is null
 */
export async function sendWebhook(
  { url, secret }: { url: string; secret: string },
  { id, body }: Message,
  now: number,
): Promise<{ status: number | null; failure: string | null }> {
  const timestamp = String(Math.floor(now / 1000))
  const headers = {
    'content-type': 'application/json',
    'user-agent': 'daicn-webhooks',
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${await sign(secret, `${id}.${timestamp}.${body}`)}`,
  }
  try {
    const signal = AbortSignal.timeout(ANSWER_MS)
    const response = await fetch(url, { method: 'POST', redirect: 'manual', headers, body, signal })
    await response.body?.cancel()
    return { status: response.status, failure: null }
  } catch (error) {
    const late = error instanceof Error && error.name === 'TimeoutError'
    return { status: null, failure: late ? `no answer within ${ANSWER_MS / 1000} s` : 'no connection' }
  }
}

/** Refuses requests that name an endpoint which their account does not have. @throws DomainError webhook_not_found */
export async function checkWebhooks(network: Network, owner: Address, requests: TaskRequest[]): Promise<void> {
  const named = requests.filter(({ webhook }) => webhook !== undefined)
  if (named.length === 0) return
  const known = new Set((await network.account(owner).webhooks()).filter(isEnabled).map(({ id }) => id))
  const unknown = named.find(({ webhook }) => !known.has(webhook!))
  if (unknown) throw new DomainError('webhook_not_found', { pointer: `${unknown.pointer ?? ''}/webhook` })
}

const isEnabled = ({ disabledAt }: { disabledAt?: number | undefined }): boolean => disabledAt === undefined

async function sign(secret: string, content: string): Promise<string> {
  const raw = Uint8Array.from(atob(secret.slice(PREFIX.length)), (char) => char.charCodeAt(0))
  const key = await crypto.subtle.importKey('raw', raw, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
  return toBase64(new Uint8Array(await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(content))))
}
