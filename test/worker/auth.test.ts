import { runInDurableObject } from 'cloudflare:test'
import { sign } from 'hono/jwt'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { beforeAll, expect, test } from 'vitest'
import type { ErrorCode } from '#core/errors.ts'
import type { AccountView, KeyView } from '#core/protocol/account.ts'
import type { Address } from '#core/protocol/values.ts'
import { SIGN_IN_WINDOW_MS, signInTypedData } from '#core/sign-in.ts'
import { app } from '#worker/app.ts'
import type { Account } from '#worker/objects/account.ts'
import {
  accountOf,
  bindings,
  CHAT,
  denied,
  ORIGIN,
  type Person,
  type Problem,
  person,
  provider,
  requester,
  send,
  signIn,
  submit,
} from '../support/network.ts'

const CHAIN_ID = 31337
const newAccount = () => privateKeyToAccount(generatePrivateKey())
const lower = ({ address }: { address: string }) => address.toLowerCase() as Address

let alice: Person & { session: string }
let bob: Person

beforeAll(async () => {
  alice = await requester()
  bob = await provider()
})

/** Signs in by a message that is changed before, or after, it is signed. */
async function signInWith({ signed = {}, sent = {}, chainId = CHAIN_ID, signer = newAccount() }) {
  const message = { address: lower(signer), audience: ORIGIN, issuedAt: Date.now(), ...signed }
  const signature = await signer.signTypedData(signInTypedData(chainId, message))
  return send<{ token: string }>('POST', '/v1/sign-in', { body: { ...message, signature, ...sent } })
}

const whoAmI = (authorization: string) => send<AccountView>('GET', '/v1/account', { headers: { authorization } })

test('who signs in gets a token for its address, whatever the case of its letters', async () => {
  const signer = newAccount()
  const issuedAt = Date.now()
  const { status, body } = await signInWith({ signer, sent: { address: signer.address } })
  expect(status).toBe(200)
  expect(body).toMatchObject({ address: lower(signer), token: expect.any(String), expiresAt: expect.any(Number) })
  expect((body as unknown as { expiresAt: number }).expiresAt).toBeGreaterThan(issuedAt + 11 * 3_600_000)
  expect((await whoAmI(`Bearer ${body.token}`)).body.address).toBe(lower(signer))
})

test.each<[name: string, how: () => Parameters<typeof signInWith>[0], code: ErrorCode, pointer?: string]>([
  ['another key', () => ({ signed: { address: lower(newAccount()) } }), 'invalid_signature'],
  ['a key of another chain', () => ({ chainId: 1 }), 'invalid_signature'],
  ['nobody', () => ({ sent: { signature: '0x' } }), 'invalid_signature'],
  ['half a byte', () => ({ sent: { signature: '0x123' } }), 'invalid_signature'],
  ['no point of the curve', () => ({ sent: { signature: `0x${'f'.repeat(130)}` } }), 'invalid_signature'],
  ['noise without end', () => ({ sent: { signature: `0x${'12'.repeat(100_000)}` } }), 'invalid_signature'],
  ['its key, but for another time', () => ({ sent: { issuedAt: Date.now() + 1000 } }), 'invalid_signature'],
  [
    'its key, but for another edge',
    () => ({ signed: { audience: 'https://other.test' } }),
    'invalid_signature',
    '/audience',
  ],
  [
    'its key, sent to another edge',
    () => ({ signed: { audience: 'https://other.test' }, sent: { audience: ORIGIN } }),
    'invalid_signature',
  ],
  [
    'its key, too long ago',
    () => ({ signed: { issuedAt: Date.now() - SIGN_IN_WINDOW_MS - 1000 } }),
    'stale_sign_in',
    '/issuedAt',
  ],
  [
    'its key, in the future',
    () => ({ signed: { issuedAt: Date.now() + SIGN_IN_WINDOW_MS + 5000 } }),
    'stale_sign_in',
    '/issuedAt',
  ],
])('a sign-in signed by %s is refused', async (_, how, code, pointer) => {
  denied(await signInWith(how()), 401, code, pointer)
})

test('a sign-in works once, and none that is older than the last', async () => {
  const signer = newAccount()
  const at = Date.now()
  expect((await signIn(signer, at)).status).toBe(200)
  denied(await signIn(signer, at), 401, 'stale_sign_in')
  denied(await signIn(signer, at - 1), 401, 'stale_sign_in')
  expect((await signIn(signer, at + 1)).status).toBe(200)
  denied(await signIn(signer, at), 401, 'stale_sign_in')
})

test('a call without credentials, or with none that make sense, is refused', async () => {
  denied(await send('GET', '/v1/account'), 401, 'missing_credentials')
  denied(await send('POST', '/v1/tasks', { body: CHAT }), 401, 'missing_credentials')
  const garbage = [
    'garbage',
    'Basic YTpi',
    'Bearer',
    'Bearer  ',
    'Bearer a b',
    'Bearer ü',
    `Bearer ${'x'.repeat(2049)}`,
  ]
  const tokens = ['a.b.c', 'e30.e30.e30', 'dk_', 'dk_x_y_z', `dk_${'0'.repeat(40)}_${'0'.repeat(12)}_${'0'.repeat(48)}`]
  for (const header of [...garbage, ...tokens.map((token) => `Bearer ${token}`)]) {
    denied(await whoAmI(encodeURI(header).replaceAll('%20', ' ')), 401, 'invalid_credentials')
  }
})

test('a session token is believed only with our signature, until it expires', async () => {
  const claims = { sub: alice.address, aud: ORIGIN, exp: Math.floor(Date.now() / 1000) + 60 }
  const { EDGE_SECRET } = bindings
  expect((await whoAmI(`Bearer ${await sign(claims, EDGE_SECRET, 'HS256')}`)).status).toBe(200)

  const past = await sign({ ...claims, exp: Math.floor(Date.now() / 1000) - 1 }, EDGE_SECRET, 'HS256')
  denied(await whoAmI(`Bearer ${past}`), 401, 'expired_token')
  const part = (value: unknown) => btoa(JSON.stringify(value)).replaceAll('=', '')
  const [head, body, signature] = (await sign(claims, EDGE_SECRET, 'HS256')).split('.') as [string, string, string]
  for (const token of [
    await sign(claims, 'another secret of some other edge, as long as ours', 'HS256'),
    await sign(claims, EDGE_SECRET, 'HS512'),
    await sign({ ...claims, sub: 'nobody' }, EDGE_SECRET, 'HS256'),
    await sign({ exp: claims.exp }, EDGE_SECRET, 'HS256'),
    await sign({ ...claims, aud: 'https://other.test' }, EDGE_SECRET, 'HS256'),
    await sign({ ...claims, aud: 'https://edge.tes' }, EDGE_SECRET, 'HS256'),
    await sign({ sub: alice.address, exp: claims.exp }, EDGE_SECRET, 'HS256'),
    `${part({ alg: 'none', typ: 'JWT' })}.${part(claims)}.`,
    `${part({ alg: 'none', typ: 'JWT' })}.${part(claims)}.${signature}`,
    `${head}.${part({ ...claims, sub: bob.address })}.${signature}`,
    `${head}.${body}.`,
    `${head}.${body}`,
  ]) {
    denied(await whoAmI(`Bearer ${token}`), 401, 'invalid_credentials')
  }
})

test('a token that expires while it is known stops working then', async () => {
  const exp = Math.floor(Date.now() / 1000) + 2
  const token = await sign({ sub: alice.address, aud: ORIGIN, exp }, bindings.EDGE_SECRET, 'HS256')
  expect((await whoAmI(`Bearer ${token}`)).status).toBe(200)
  await until(exp * 1000 + 50)
  denied(await whoAmI(`Bearer ${token}`), 401, 'expired_token')
})

test('accounts cannot see each other', async () => {
  const mallory = await requester()
  const task = await submit(alice)
  denied(await send('GET', `/v1/tasks/${task.id}`, mallory), 404, 'task_not_found')
  const [hers, his] = [await accountOf(alice), await accountOf(mallory)]
  expect([hers.address, his.address]).toEqual([alice.address, mallory.address])
  expect(his).toMatchObject({ deposited: '100', free: '100', held: '0', spent: '0' })
  const { body } = await send<{ keys: KeyView[] }>('GET', '/v1/keys', { token: mallory.session })
  expect(body.keys).toHaveLength(1)
})

test('the faucet is closed unless the network is for development', async () => {
  const headers = { authorization: `Bearer ${alice.session}` }
  const before = await accountOf(alice)
  for (const DEV of ['false', '', 'TRUE']) {
    const response = await app.request(`${ORIGIN}/v1/account/faucet`, { method: 'POST', headers }, { ...bindings, DEV })
    expect([response.status, ((await response.json()) as Problem).code]).toEqual([403, 'faucet_closed'])
  }
  expect(await accountOf(alice)).toEqual(before)
})

test('the faucet gives an account no more than its limit', async () => {
  const { address, token } = await person()
  await runInDurableObject(bindings.ACCOUNT.getByName(address), async (account: Account) => {
    for (let i = 0; i < 9_999; i++) await account.faucet()
  })
  expect((await send('POST', '/v1/account/faucet', { token })).status).toBe(200)
  denied(await send('POST', '/v1/account/faucet', { token }), 429, 'faucet_limit')
  expect(await accountOf({ token })).toMatchObject({ deposited: '1000000', free: '1000000' })
})

test('an edge without a proper secret or chain does not serve', async () => {
  for (const wrong of [{ EDGE_SECRET: 'short' }, { CHAIN_ID: 'main' }, { CHAIN_ID: '0' }]) {
    const response = await app.request(`${ORIGIN}/v1/health`, {}, { ...bindings, ...wrong })
    expect([response.status, ((await response.json()) as Problem).code]).toEqual([500, 'internal'])
  }
})

const until = (time: number) => new Promise((resolve) => setTimeout(resolve, time - Date.now()))
