/** An account of its own to try things with, where the network gives tokens away: a key that nobody keeps, signed in. */
import { faucet, signIn } from '#client/account.ts'
import type { Credential } from './credential.ts'

export async function openTrial(edge: string): Promise<Credential> {
  const { generatePrivateKey, privateKeyToAccount } = await import('viem/accounts')
  const { token, address, expiresAt } = await signIn({ edge }, privateKeyToAccount(generatePrivateKey()))
  await faucet({ edge, key: token })
  return { by: 'trial', token, address, expiresAt }
}
