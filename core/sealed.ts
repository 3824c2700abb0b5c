/**
 * Chats that their provider alone can read. The requester names the provider, and seals the whole input to the key that the
 * provider has published and signed; the edge sees a chat of one message that says nothing. What comes back is sealed by a key
 * that both got from that. See docs/security.md for what this hides.
 */
import {
  ascii,
  type Bytes,
  concat,
  decrypt,
  encrypt,
  type KeyPair,
  NONCE_BYTES,
  open,
  type Subtle,
  seal,
} from './hpke.ts'
import type { Lease } from './protocol/lease.ts'
import type { Address } from './protocol/values.ts'

/** What a provider offers to honour that opens such chats; also the field of an input that says that it is one. */
export const SEALED = 'sealed'

export const isSealed = ({ kind, input }: Pick<Lease, 'kind' | 'input'>): boolean =>
  kind === 'llm.chat' && typeof input[SEALED] === 'string'

/** The EIP-712 message by which a provider says that a key is its own. */
export const sealingTypedData = (key: `0x${string}`) =>
  ({
    domain: { name: 'DAICN Sealing', version: '1' },
    types: { SealingKey: [{ name: 'key', type: 'bytes32' }] },
    primaryType: 'SealingKey',
    message: { key },
  }) as const

/** Whom it is for is part of what is agreed upon, so that nobody passes it on as meant for another. */
const infoFor = (provider: Address): Bytes => ascii(`daicn sealed chat ${provider}`)
const ANSWER = 'daicn answer'

/** What is sealed, and the key that opens the answer. Bytes are JSON in UTF-8. */
export async function sealChat(
  subtle: Subtle,
  provider: Address,
  key: Bytes,
  ephemeral: KeyPair,
  input: Bytes,
): Promise<{ sealed: Bytes; answerKey: Bytes }> {
  const { sealed, context } = await seal(subtle, key, ephemeral, infoFor(provider), input)
  return { sealed, answerKey: await context.export(ANSWER) }
}

/** Rejects for what was sealed to another, or was changed. */
export async function openChat(
  subtle: Subtle,
  provider: Address,
  own: KeyPair,
  sealed: Bytes,
): Promise<{ input: Bytes; answerKey: Bytes }> {
  const { content, context } = await open(subtle, own, infoFor(provider), sealed)
  return { input: content, answerKey: await context.export(ANSWER) }
}

/** @param nonce random: a task that is tried again has another answer under the same key */
export const sealAnswer = async (subtle: Subtle, key: Bytes, nonce: Bytes, output: Bytes): Promise<Bytes> =>
  concat(nonce, await encrypt(subtle, key, nonce, output))

export const openAnswer = (subtle: Subtle, key: Bytes, sealed: Bytes): Promise<Bytes> =>
  decrypt(subtle, key, sealed.slice(0, NONCE_BYTES), sealed.slice(NONCE_BYTES))
