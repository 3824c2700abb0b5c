/** Chats that the provider you name can read, and the edge cannot. Loaded when the first is sent. */
import type { ProviderView } from '#core/directory.ts'
import type { Bytes, KeyPair } from '#core/hpke.ts'
import type { Address } from '#core/protocol/values.ts'
import { openAnswer, SEALED, sealChat, sealingTypedData } from '#core/sealed.ts'
import { type Connection, insist } from './edge.ts'
import { missing } from './error.ts'
import { type Done, type NewTask, run, type Signal } from './task.ts'
import { recoverSigner } from './verify.ts'

const { subtle } = crypto
/** Tokens of an answer that is not bounded otherwise. */
const MOST_TOKENS = 512

/**
 * Seals a chat to a provider, has it run by that one alone, and opens what it says.
 * @throws DaicnError not_sealable for a provider that publishes no key it has signed, and those of `run`
 */
export async function runSealed(
  connection: Connection,
  named: string,
  { input, ...task }: NewTask<'llm.chat'>,
  options: Signal = {},
): Promise<Done<'llm.chat'>> {
  const provider = named.toLowerCase() as Address
  const key = await keyOf(connection, provider, options)
  const { max_tokens = MOST_TOKENS } = input
  const ephemeral = (await subtle.generateKey({ name: 'X25519' }, false, ['deriveBits'])) as unknown as KeyPair
  const content = Uint8Array.from(new TextEncoder().encode(JSON.stringify({ ...input, max_tokens })))
  const { sealed, answerKey } = await sealChat(subtle, provider, key, ephemeral, content)
  const outer: NewTask<'llm.chat'> = {
    ...task,
    requirements: { ...task.requirements, provider },
    input: { messages: [{ role: 'user', content: toBase64(sealed) }], max_tokens, [SEALED]: provider },
  }
  const done = await run(connection, outer, options)
  const answer = await openAnswer(subtle, answerKey, fromBase64(done.output.content ?? ''))
  return { ...done, output: JSON.parse(new TextDecoder().decode(answer)) }
}

/** As the provider signed it, whatever the edge says. */
async function keyOf(connection: Connection, provider: Address, { signal }: Signal): Promise<Bytes> {
  const { sealing } = await insist<ProviderView>(connection, 'GET', `/v1/providers/${provider}`, { signal })
  if (!sealing) throw missing('not_sealable', `${provider} publishes no key`)
  const signer = await recoverSigner(sealingTypedData(sealing.key), sealing.signature)
  if (signer !== provider) throw missing('not_sealable', `the key of ${provider} is not signed by it`)
  return Uint8Array.from(sealing.key.slice(2).match(/../g)!, (byte) => Number.parseInt(byte, 16))
}

const toBase64 = (bytes: Bytes): string => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
const fromBase64 = (text: string): Bytes => Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
