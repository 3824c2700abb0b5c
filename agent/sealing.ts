/**
 * Opens chats that are sealed to this provider, and seals what comes of them. The key is made anew at each start and never leaves
 * the memory: what was sealed to it can be read by nobody once the agent has ended.
 */
import { webcrypto } from 'node:crypto'
import type { PrivateKeyAccount } from 'viem/accounts'
import { type KeyPair, NONCE_BYTES } from '#core/hpke.ts'
import type { Lease, Result } from '#core/protocol/lease.ts'
import type { SealingKey } from '#core/protocol/provider.ts'
import type { Address } from '#core/protocol/values.ts'
import { isSealed, openChat, sealAnswer, sealingTypedData } from '#core/sealed.ts'
import { RunnerError } from './runner.ts'

const { subtle } = webcrypto

export type Sealing = {
  /** For all to see. */
  published: SealingKey
  /** Undefined for a lease that is not sealed. */
  letterOf: (lease: Lease) => Letter | undefined
}

type Letter = {
  /** The lease as it is to be run. @throws RunnerError invalid_input */
  open: () => Promise<Lease>
  /** What may be told of its result. */
  close: (result: Result) => Promise<Result>
}

export async function createSealing(account: PrivateKeyAccount): Promise<Sealing> {
  const pair = (await subtle.generateKey('X25519', true, ['deriveBits'])) as unknown as KeyPair
  const raw = Buffer.from(await subtle.exportKey('raw', pair.publicKey as webcrypto.CryptoKey))
  const key = `0x${raw.toString('hex')}` as const
  const provider = account.address.toLowerCase() as Address
  const signature = await account.signTypedData(sealingTypedData(key))
  return {
    published: { key, signature },
    letterOf: (lease) => (isSealed(lease) ? letter(lease, provider, pair) : undefined),
  }
}

function letter(lease: Lease, provider: Address, pair: KeyPair): Letter {
  let answerKey: Uint8Array<ArrayBuffer> | undefined
  return {
    async open() {
      try {
        const [{ content }] = lease.input.messages as [{ content: string }]
        const opened = await openChat(subtle, provider, pair, Uint8Array.from(Buffer.from(content, 'base64')))
        answerKey = opened.answerKey
        return { ...lease, input: JSON.parse(Buffer.from(opened.input).toString()) as Lease['input'] }
      } catch {
        throw new RunnerError('invalid_input', 'it was sealed to another key; read the one of this provider again')
      }
    },
    async close(result) {
      const { outcome } = result
      // Before it was opened there is nothing that an error could tell.
      if (!answerKey || outcome.status === 'returned') return result
      if (outcome.status === 'failed') {
        const error = { code: outcome.error.code, message: 'what it says is not told, for the chat is sealed' }
        return { ...result, outcome: { status: 'failed', error } }
      }
      const nonce = webcrypto.getRandomValues(new Uint8Array(NONCE_BYTES))
      const said = Uint8Array.from(Buffer.from(JSON.stringify(outcome.output)))
      const content = Buffer.from(await sealAnswer(subtle, answerKey, nonce, said)).toString('base64')
      return { ...result, outcome: { ...outcome, output: { content, finishReason: 'stop' } } }
    },
  }
}
