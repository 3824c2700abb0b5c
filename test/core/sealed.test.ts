import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Bytes, encrypt, open } from '#core/hpke.ts'
import { openAnswer, openChat, sealAnswer, sealChat } from '#core/sealed.ts'
import { holderOf, join, openBook, order, providerOf, request, T0 } from '../support/book.ts'

const { subtle } = crypto
const bytes = (hex: string): Bytes => Uint8Array.from(Buffer.from(hex, 'hex'))
const hex = (value: Uint8Array) => Buffer.from(value).toString('hex')

type Pair = { publicKey: CryptoKey; privateKey: CryptoKey }
const newPair = () => subtle.generateKey('X25519', true, ['deriveBits']) as unknown as Promise<Pair>
const published = async ({ publicKey }: Pair) => new Uint8Array(await subtle.exportKey('raw', publicKey))

/** Of raw bytes, as RFC 8410 wraps them. */
async function pairOf(secret: string, open: string): Promise<Pair> {
  const wrapped = bytes(`302e020100300506032b656e04220420${secret}`)
  const privateKey = await subtle.importKey('pkcs8', wrapped, 'X25519', true, ['deriveBits'])
  return { privateKey, publicKey: await subtle.importKey('raw', bytes(open), 'X25519', true, []) }
}

test('keys are those of RFC 9180, A.1', async () => {
  const receiver = await pairOf(
    '4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8',
    '3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d',
  )
  const enc = bytes('37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431')
  const info = bytes('4f6465206f6e2061204772656369616e2055726e')
  const key = bytes('4531685d41d65f03dc48f6b8302c05b0')
  const nonce = bytes('56d890e5accaaf011cff4b7d')
  const sealed = new Uint8Array([...enc, ...(await encrypt(subtle, key, nonce, bytes('abcd')))])
  const { content, context } = await open(subtle, receiver, info, sealed)
  expect(hex(content)).toBe('abcd')
  expect([hex(context.key), hex(context.nonce)]).toEqual([hex(key), hex(nonce)])
})

test('what is sealed is opened by its provider alone, unchanged, and so is the answer', async () => {
  const [own, other] = [await newPair(), await newPair()]
  const key = await published(own)
  const content = fc.uint8Array({ maxLength: 300 }).map((each) => Uint8Array.from(each))
  await fc.assert(
    fc.asyncProperty(content, content, fc.nat(), fc.nat({ max: 7 }), async (input, output, at, bit) => {
      const { sealed, answerKey } = await sealChat(subtle, providerOf(1), key, await newPair(), input)
      const opened = await openChat(subtle, providerOf(1), own, sealed)
      expect(hex(opened.input)).toBe(hex(input))
      await expect(openChat(subtle, providerOf(1), other, sealed)).rejects.toThrow()
      await expect(openChat(subtle, providerOf(2), own, sealed)).rejects.toThrow()
      const nonce = crypto.getRandomValues(new Uint8Array(12))
      const answer = await sealAnswer(subtle, opened.answerKey, nonce, output)
      expect(hex(await openAnswer(subtle, answerKey, answer))).toBe(hex(output))
      // The highest bit of a point counts for nothing on the curve; but it is part of what both agree upon.
      const changed = sealed.slice()
      changed[at % changed.length]! ^= 1 << bit
      await expect(openChat(subtle, providerOf(1), own, changed)).rejects.toThrow()
      const bent = answer.slice()
      bent[at % bent.length]! ^= 1 << bit
      await expect(openAnswer(subtle, answerKey, bent)).rejects.toThrow()
    }),
    { numRuns: 20 },
  )
})

test('a task goes to the provider that it names and to no other; one that does not offer the like is refused', () => {
  const book = openBook()
  join(book, 1, T0)
  join(book, 2, T0, { slots: 1, free: 1 })
  const named = (n: number) => [request({ only: providerOf(n) })]
  const [first] = order(book, 1, named(2), T0)
  const [second] = order(book, 1, named(2), T0)
  expect(holderOf(book, first!)).toBe(providerOf(2))
  expect(holderOf(book, second!)).toBeNull()
  expect(() => order(book, 1, named(3), T0)).toThrow(
    expect.objectContaining({
      code: 'no_provider',
      details: expect.objectContaining({ pointer: '/requirements/provider' }),
    }),
  )
})
