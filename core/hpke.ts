/**
 * A message that only the holder of a key can read, and a key for the answer: HPKE (RFC 9180) in its base mode, one message to a
 * context, by DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and AES-128-GCM. WebCrypto and randomness come in as arguments.
 */
export type Bytes = Uint8Array<ArrayBuffer>
type Key = object
export type KeyPair = { publicKey: Key; privateKey: Key }

/** What is taken of WebCrypto's SubtleCrypto. */
export type Subtle = {
  importKey(
    format: 'raw',
    bytes: Bytes,
    algorithm: { name: string; hash?: string },
    extractable: boolean,
    usages: ('sign' | 'encrypt' | 'decrypt')[],
  ): Promise<Key>
  exportKey(format: 'raw', key: Key): Promise<unknown>
  deriveBits(algorithm: { name: string; public: Key }, key: Key, length: number): Promise<ArrayBuffer>
  sign(algorithm: string, key: Key, data: Bytes): Promise<ArrayBuffer>
  encrypt(algorithm: { name: string; iv: Bytes }, key: Key, data: Bytes): Promise<ArrayBuffer>
  decrypt(algorithm: { name: string; iv: Bytes }, key: Key, data: Bytes): Promise<ArrayBuffer>
}

/** @param export gives a key of 16 bytes that both sides know, and nobody else, for another use */
type Context = { key: Bytes; nonce: Bytes; export: (use: string) => Promise<Bytes> }

const X25519 = { name: 'X25519' }
const KEY_BYTES = 32
export const NONCE_BYTES = 12
const AES_BYTES = 16
const NONE = new Uint8Array(0)
/** As an extraction without a salt takes it. */
const NO_SALT = new Uint8Array(32)

export const ascii = (text: string): Bytes => Uint8Array.from(text, (character) => character.charCodeAt(0))

const KEM = concat(ascii('KEM'), word(0x20))
const SUITE = concat(ascii('HPKE'), word(0x20), word(1), word(1))

/** @param ephemeral made for this message alone @param info says what it is for; whoever opens it must say the same */
export async function seal(subtle: Subtle, receiver: Bytes, ephemeral: KeyPair, info: Bytes, content: Bytes) {
  const to = await subtle.importKey('raw', receiver, X25519, true, [])
  const enc = new Uint8Array((await subtle.exportKey('raw', ephemeral.publicKey)) as ArrayBuffer)
  const context = await contextOf(subtle, ephemeral.privateKey, to, concat(enc, receiver), info)
  return { sealed: concat(enc, await encrypt(subtle, context.key, context.nonce, content)), context }
}

/** Rejects for what was not sealed to this key for this use, or was changed. */
export async function open(subtle: Subtle, own: KeyPair, info: Bytes, sealed: Bytes) {
  const enc = sealed.slice(0, KEY_BYTES)
  const from = await subtle.importKey('raw', enc, X25519, true, [])
  const receiver = new Uint8Array((await subtle.exportKey('raw', own.publicKey)) as ArrayBuffer)
  const context = await contextOf(subtle, own.privateKey, from, concat(enc, receiver), info)
  return { content: await decrypt(subtle, context.key, context.nonce, sealed.slice(KEY_BYTES)), context }
}

/** @param nonce never twice with one key */
export async function encrypt(subtle: Subtle, key: Bytes, nonce: Bytes, content: Bytes): Promise<Bytes> {
  const aes = await subtle.importKey('raw', key, { name: 'AES-GCM' }, false, ['encrypt'])
  return new Uint8Array(await subtle.encrypt({ name: 'AES-GCM', iv: nonce }, aes, content))
}

export async function decrypt(subtle: Subtle, key: Bytes, nonce: Bytes, sealed: Bytes): Promise<Bytes> {
  const aes = await subtle.importKey('raw', key, { name: 'AES-GCM' }, false, ['decrypt'])
  return new Uint8Array(await subtle.decrypt({ name: 'AES-GCM', iv: nonce }, aes, sealed))
}

/** Section 4.1, then 5.1. */
async function contextOf(subtle: Subtle, mine: Key, theirs: Key, keys: Bytes, info: Bytes): Promise<Context> {
  const shared = new Uint8Array(await subtle.deriveBits({ ...X25519, public: theirs }, mine, KEY_BYTES * 8))
  const agreed = await extract(subtle, KEM, NO_SALT, 'eae_prk', shared)
  const secretShared = await expand(subtle, KEM, agreed, 'shared_secret', keys, 32)
  const [idHash, infoHash] = [
    await extract(subtle, SUITE, NO_SALT, 'psk_id_hash', NONE),
    await extract(subtle, SUITE, NO_SALT, 'info_hash', info),
  ]
  const schedule = concat(new Uint8Array(1), idHash, infoHash)
  const secret = await extract(subtle, SUITE, secretShared, 'secret', NONE)
  const exporter = await expand(subtle, SUITE, secret, 'exp', schedule, 32)
  return {
    key: await expand(subtle, SUITE, secret, 'key', schedule, AES_BYTES),
    nonce: await expand(subtle, SUITE, secret, 'base_nonce', schedule, NONCE_BYTES),
    export: (use) => expand(subtle, SUITE, exporter, 'sec', ascii(use), AES_BYTES),
  }
}

const VERSION = ascii('HPKE-v1')

const extract = (subtle: Subtle, suite: Bytes, salt: Bytes, label: string, secret: Bytes): Promise<Bytes> =>
  hmac(subtle, salt, concat(VERSION, suite, ascii(label), secret))

/** At most one block, which is all that is needed. */
async function expand(subtle: Subtle, suite: Bytes, key: Bytes, label: string, info: Bytes, length: number) {
  const block = concat(word(length), VERSION, suite, ascii(label), info, Uint8Array.of(1))
  return (await hmac(subtle, key, block)).slice(0, length)
}

async function hmac(subtle: Subtle, key: Bytes, data: Bytes): Promise<Bytes> {
  const imported = await subtle.importKey('raw', key, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
  return new Uint8Array(await subtle.sign('HMAC', imported, data))
}

/** Two bytes, the higher first. */
function word(value: number): Bytes {
  return Uint8Array.of(value >> 8, value & 255)
}

export function concat(...parts: Uint8Array[]): Bytes {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
