import type { Address } from '#core/protocol/values.ts'

/** By what calls are made: an API key that was pasted, or a sign-in; `expiresAt` in Unix milliseconds. */
export type Credential = { by: 'key' | 'wallet' | 'trial'; token: string; address: Address; expiresAt: number | null }

const API_KEY = /^dk_([0-9a-f]{40})_[0-9a-f]{12}_[0-9a-f]{48}$/

/** A pasted API key, or null for what is none. The account that pays is part of it. */
export function credentialOf(key: string): Credential | null {
  const account = API_KEY.exec(key.trim())?.[1]
  return account ? { by: 'key', token: key.trim(), address: `0x${account}`, expiresAt: null } : null
}
