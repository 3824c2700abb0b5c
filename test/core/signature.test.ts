/** Signatures that are not what they seem. `FORGERIES=100000` makes as many of each, where the short run makes a few. */
import fc from 'fast-check'
import { privateKeyToAccount } from 'viem/accounts'
import { keccak256, recoverTypedDataAddress, stringToBytes } from 'viem/utils'
import { expect, test } from 'vitest'
import { verifyReceipt } from '#client/daicn.ts'
import { applyToAccount, checkSignIn, createAccount } from '#core/account.ts'
import { countersignatureTypedData, hashOfRequest, type Receipt, receiptTypedData } from '#core/receipt.ts'
import { signInTypedData } from '#core/sign-in.ts'
import { isCanonical } from '#core/signature.ts'
import { acceptVoucher, compactSignature, voucherTypedData } from '#core/voucher.ts'
import { isSignedBy, type SignInMessage } from '#worker/chain/signature.ts'
import { sha256 } from '../../client/hash.ts'

const RUNS = Number(process.env.FORGERIES ?? 60)
const SEED = Number(process.env.SEED ?? 20_260_101)
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const CHAIN_ID = 31337
type Hex = `0x${string}`

const keyed = (name: string) => privateKeyToAccount(keccak256(stringToBytes(name)))
const [signer, other] = [keyed('signer'), keyed('other')]
const lower = (account: { address: string }) => account.address.toLowerCase() as Hex
const message: SignInMessage = { address: lower(signer), audience: 'https://edge.test', issuedAt: 1_700_000_000_000 }
const signed = await signer.signTypedData(signInTypedData(CHAIN_ID, message))

/** The other signature of the same key over the same message. */
function twinOf(signature: Hex): Hex {
  const s = (ORDER - BigInt(`0x${signature.slice(66, 130)}`)).toString(16).padStart(64, '0')
  return `${signature.slice(0, 66) as Hex}${s}${signature.endsWith('1b') ? '1c' : '1b'}`
}

/** Sees that none of many examples is taken. */
async function noneOf<T>(forgeries: fc.Arbitrary<T>, isTaken: (forgery: T) => Promise<boolean>): Promise<void> {
  const property = fc.asyncProperty(forgeries, async (forgery) => !(await isTaken(forgery)))
  await fc.assert(property, { seed: SEED, numRuns: RUNS })
}

const timeout = 30_000 + RUNS * 60

test('a sign-in is taken as it was signed, and with nothing of it changed', { timeout }, async () => {
  expect(await isSignedBy(CHAIN_ID, message, signed)).toBe(true)
  const changed = fc.oneof(
    fc.record({ chainId: fc.integer({ min: 1, max: 2 ** 40 }).filter((id) => id !== CHAIN_ID) }),
    fc.record({ audience: fc.webUrl() }),
    fc.record({ issuedAt: fc.nat() }),
    fc.record({ address: fc.constant(lower(other)) }),
  ) as fc.Arbitrary<Partial<SignInMessage> & { chainId?: number }>
  await noneOf(changed, ({ chainId = CHAIN_ID, ...change }) => isSignedBy(chainId, { ...message, ...change }, signed))
})

test('a signature with any bit of it changed is not taken', { timeout }, async () => {
  const flipped = fc.nat(65 * 8 - 1).map((bit) => {
    const value = BigInt(signed) ^ (1n << BigInt(bit))
    return `0x${value.toString(16).padStart(130, '0')}` as const
  })
  await noneOf(flipped, (signature) => isSignedBy(CHAIN_ID, message, signature))
})

test('the twin of a signature is taken nowhere', { timeout }, async () => {
  const messages = fc.record({ issuedAt: fc.nat(), audience: fc.webUrl() }).map((more) => ({ ...message, ...more }))
  await noneOf(messages, async (message) => {
    const signature = await signer.signTypedData(signInTypedData(CHAIN_ID, message))
    expect(isCanonical(signature) && isCanonical(compactSignature(signature))).toBe(true)
    const twin = twinOf(signature)
    // The libraries take it: it is up to us.
    const data = { ...signInTypedData(CHAIN_ID, message), signature: twin }
    expect((await recoverTypedDataAddress(data)).toLowerCase()).toBe(message.address)
    return isCanonical(twin) || (await isSignedBy(CHAIN_ID, message, twin))
  })
})

test('a sign-in is a nonce: none counts twice, in whatever order they come', () => {
  const times = fc.array(fc.nat(50), { minLength: 1, maxLength: 100 })
  const property = fc.property(times, (times) => {
    const account = createAccount()
    let last = 0
    for (const issuedAt of times) {
      const attempt = () => checkSignIn(account, issuedAt)
      if (issuedAt <= last) expect(attempt).toThrow(expect.objectContaining({ code: 'stale_sign_in' }))
      else {
        attempt()
        applyToAccount(account, { type: 'signed_in', at: 0, issuedAt })
        last = issuedAt
      }
    }
  })
  fc.assert(property, { seed: SEED, numRuns: RUNS })
})

test('a voucher is for its chain, its contract, its lane and its sum, and counts once', { timeout }, async () => {
  const settlement = { chainId: CHAIN_ID, address: lower(keyed('settlement')) }
  const voucher = { account: keccak256('0x01'), receiver: lower(other), ceiling: 1000n }
  const signature = await signer.signTypedData(voucherTypedData(settlement, voucher))
  const isBy = async (chain: typeof settlement, said: typeof voucher) =>
    (await recoverTypedDataAddress({ ...voucherTypedData(chain, said), signature })).toLowerCase() === lower(signer)
  expect(await isBy(settlement, voucher)).toBe(true)
  const address = fc.stringMatching(/^[0-9a-f]{40}$/).map((digits) => `0x${digits}` as const)
  const forgeries = fc.oneof(
    fc.record({ chainId: fc.integer({ min: 1, max: 2 ** 40 }).filter((id) => id !== CHAIN_ID) }),
    fc.record({ address }),
    fc.record({ receiver: address }),
    fc.record({ ceiling: fc.bigInt({ min: 1001n, max: 2n ** 88n }) }),
    fc.record({ account: fc.stringMatching(/^[0-9a-f]{64}$/).map((digits) => `0x${digits}` as const) }),
  ) as fc.Arbitrary<Partial<typeof settlement & typeof voucher>>
  await noneOf(forgeries, ({ chainId, address, ...change }) =>
    isBy({ chainId: chainId ?? CHAIN_ID, address: address ?? settlement.address }, { ...voucher, ...change }),
  )
  const lane = acceptVoucher({ charged: 0n, ceiling: 0n, paid: 0n, locked: 0n }, voucher.ceiling)
  expect(() => acceptVoucher(lane, voucher.ceiling)).toThrow(expect.objectContaining({ code: 'voucher_refused' }))
})

test('a receipt with the twin of either signature is no receipt', async () => {
  const hash = (text: string) => sha256(new TextEncoder().encode(text))
  const request = { kind: 'llm.chat' as const, model: 'echo', digest: null, input: '1'.repeat(64), prefix: null }
  const statement = {
    domain: { chainId: CHAIN_ID, court: lower(keyed('court')) },
    task: 'c1-000000000abcdefgh',
    attempt: 1,
    provider: lower(signer),
    requester: lower(other),
    ...request,
    request: await hashOfRequest(request, hash),
    output: '2'.repeat(64),
    units: 6,
    price: '0.000006',
    finishedAt: 1_700_000_000_000,
  }
  const countersigned = async (signature: Hex, form: (signature: Hex) => Hex): Promise<Receipt> => {
    const draft = { ...statement, grantedAt: statement.finishedAt, acceptedAt: statement.finishedAt, signature }
    const edge = await other.signTypedData(await countersignatureTypedData(draft, hash))
    return { ...draft, edge: { address: lower(other), signature: form(edge) } } as Receipt
  }
  const own = await signer.signTypedData(await receiptTypedData(statement, hash))
  const asItIs = (signature: Hex) => signature
  expect((await verifyReceipt(await countersigned(own, asItIs))).ok).toBe(true)
  expect((await verifyReceipt(await countersigned(twinOf(own), asItIs))).ok).toBe(false)
  expect((await verifyReceipt(await countersigned(own, twinOf))).ok).toBe(false)
})
