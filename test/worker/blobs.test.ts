import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { beforeAll, expect, test } from 'vitest'
import { BLOB_KEPT_MS } from '#core/blob.ts'
import type { BlobView } from '#core/protocol/blob.ts'
import type { Offer } from '#core/protocol/provider.ts'
import type { TaskView } from '#core/protocol/task.ts'
import { LIMITS } from '#core/protocol/values.ts'
import {
  bindings,
  CHAT,
  denied,
  ledger,
  OFFER,
  type Person,
  poll,
  provider,
  refused,
  request,
  requester,
  send,
  submit,
} from '../support/network.ts'

const OCR: Offer = { kind: 'doc.ocr', model: 'reader', ask: '0.001', speed: 1 }
let alice: Person & { session: string }
let mallory: Person & { session: string }

beforeAll(async () => {
  ;[alice, mallory] = await Promise.all([requester(), requester()])
})

async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

let made = 0
/** Content that no other test has. */
async function content(length = 1000) {
  const bytes = new Uint8Array(length).fill(7)
  new DataView(bytes.buffer).setUint32(0, ++made)
  return { bytes, sha256: await sha256(bytes) }
}

const put = (who: Person, hash: string, bytes: Uint8Array, length: number | null = bytes.length) =>
  send<BlobView>('PUT', `/v1/blobs/${hash}`, {
    token: who.token,
    raw: bytes as Uint8Array<ArrayBuffer>,
    headers: { 'content-type': 'image/png', ...(length !== null && { 'content-length': String(length) }) },
  })

async function get(who: Person, path: string): Promise<{ status: number; bytes: Uint8Array; headers: Headers }> {
  const { status, headers, ...response } = await request(path, {
    headers: { authorization: `Bearer ${who.token}` },
  }).then(async (answer) => ({ status: answer.status, headers: answer.headers, body: await answer.arrayBuffer() }))
  return { status, headers, bytes: new Uint8Array(response.body) }
}

const kept = async (who: Person) => (await bindings.BLOBS.list({ prefix: who.address })).objects.map(({ key }) => key)

async function uploaded(who: Person, length?: number) {
  const blob = await content(length)
  const { status } = await put(who, blob.sha256, blob.bytes)
  expect(status).toBe(201)
  return blob
}

const pageTask = (hash: string, model = 'reader') => ({
  kind: 'doc.ocr',
  model,
  input: { image: { sha256: hash }, mediaType: 'image/png' },
})

test('what was uploaded is read again, byte for byte and as nothing that a browser would run', async () => {
  const { bytes, sha256: hash } = await content(300_000)
  const { status, body } = await put(alice, hash, bytes)
  expect([status, body]).toEqual([
    201,
    { sha256: hash, bytes: 300_000, contentType: 'image/png', keptUntil: expect.any(Number) },
  ])
  expect(body.keptUntil - Date.now()).toBeGreaterThan(BLOB_KEPT_MS - 10_000)
  const read = await get(alice, `/v1/blobs/${hash}`)
  expect(read.bytes).toEqual(bytes)
  expect(Object.fromEntries(read.headers)).toMatchObject({
    'content-type': 'image/png',
    'content-length': '300000',
    'content-disposition': 'attachment',
    'x-content-type-options': 'nosniff',
  })
  expect((await put(alice, hash, bytes)).status).toBe(201)
})

test('content that is not what its address says is refused, and nothing of it is kept', async () => {
  const right = await content()
  const wrong = await content()
  const before = await kept(alice)
  denied(await put(alice, right.sha256, wrong.bytes), 422, 'blob_mismatch')
  denied(await send('GET', `/v1/blobs/${right.sha256}`, alice), 404, 'blob_not_found')
  expect(await kept(alice)).toEqual(before)
})

test('a wrong repetition leaves what is kept as it was', async () => {
  const { bytes, sha256: hash } = await uploaded(alice)
  denied(await put(alice, hash, (await content()).bytes), 422, 'blob_mismatch')
  expect((await get(alice, `/v1/blobs/${hash}`)).bytes).toEqual(bytes)
})

test('a length that is missing or too great, and an address that is no hash, are refused', async () => {
  const { bytes, sha256: hash } = await content()
  const before = await kept(alice)
  denied(await put(alice, hash, bytes, null), 411, 'length_required')
  denied(await put(alice, hash, bytes, LIMITS.blobBytes + 1), 413, 'body_too_large')
  for (const address of ['x', hash.toUpperCase(), `${hash}0`, `sha256:${hash}`]) {
    denied(await put(alice, address, bytes), 422, 'invalid_request')
  }
  expect(await kept(alice)).toEqual(before)
})

test('a blob is its owner’s alone: of others’ nobody learns whether they exist', async () => {
  const { bytes, sha256: hash } = await uploaded(alice)
  const absent = (await content()).sha256
  const calls = [
    (address: string) => send('GET', `/v1/blobs/${address}`, mallory),
    (address: string) => send('DELETE', `/v1/blobs/${address}`, mallory),
    (address: string) => send('POST', '/v1/tasks', { token: mallory.token, body: pageTask(address) }),
  ]
  await provider([OCR])
  for (const call of calls) {
    const [foreign, unknown] = [await call(hash), await call(absent)]
    expect([foreign.status, (foreign.body as { code: string }).code]).toEqual([404, 'blob_not_found'])
    const same = (body: unknown) => JSON.stringify({ ...(body as object), requestId: 0 }).replace(/[0-9a-f]{64}/, '')
    expect(same(foreign.body)).toBe(same(unknown.body))
  }
  // The same content, uploaded by somebody else, is another blob: it goes when its owner drops it, and the other stays.
  expect((await put(mallory, hash, bytes)).status).toBe(201)
  expect((await send('DELETE', `/v1/blobs/${hash}`, mallory)).status).toBe(204)
  denied(await send('GET', `/v1/blobs/${hash}`, mallory), 404, 'blob_not_found')
  expect((await get(alice, `/v1/blobs/${hash}`)).bytes).toEqual(bytes)
})

test('scopes bound what a key may do with blobs', async () => {
  const { bytes, sha256: hash } = await uploaded(alice)
  const body = { name: 'reads', scopes: ['tasks:read'] }
  const { key } = (await send<{ key: string }>('POST', '/v1/keys', { token: alice.session, body })).body
  const reader = { ...alice, token: key }
  expect((await get(reader, `/v1/blobs/${hash}`)).status).toBe(200)
  denied(await put(reader, hash, bytes), 403, 'forbidden')
  denied(await send('DELETE', `/v1/blobs/${hash}`, reader), 403, 'forbidden')
  denied(await send('GET', `/v1/blobs/${hash}`), 401, 'missing_credentials')
})

test('a provider reads a blob while it holds a lease of a task with that input, and no longer', async () => {
  const [holder, other] = [await provider([OCR]), await provider([{ ...OCR, model: 'other' }])]
  const page = await uploaded(alice, 300_000)
  const letter = await uploaded(alice)
  const { id } = await submit(alice, pageTask(page.sha256))
  await submit(alice, pageTask(letter.sha256, 'other'))
  const [lease] = (await poll(holder, { free: 1 })).leases
  const [foreign] = (await poll(other, { free: 1 })).leases
  expect(lease!.input).toEqual(pageTask(page.sha256).input)
  const path = `/v1/leases/${lease!.id}/blobs/${page.sha256}`
  expect((await get(holder, path)).bytes).toEqual(page.bytes)

  denied(await send('GET', path, other), 404, 'lease_not_found')
  denied(await send('GET', path, { token: alice.session }), 404, 'lease_not_found')
  denied(await send('GET', `/v1/leases/${lease!.id}/blobs/${letter.sha256}`, holder), 404, 'lease_not_found')
  denied(await send('GET', `/v1/leases/${foreign!.id}/blobs/${letter.sha256}`, holder), 404, 'lease_not_found')
  denied(await send('GET', `/v1/blobs/${page.sha256}`, holder), 404, 'blob_not_found')

  await send('POST', `/v1/tasks/${id}/cancel`, alice)
  denied(await send('GET', path, holder), 404, 'lease_not_found')
})

test('a task that refers to what is not there is refused whole, and the place is named', async () => {
  await provider([OCR])
  const page = await uploaded(alice)
  const absent = (await content()).sha256
  const before = await ledger(alice)
  const post = (body: unknown) => send('POST', '/v1/tasks', { token: alice.token, body })
  denied(await post(pageTask(absent)), 404, 'blob_not_found', '/input/image')
  denied(await post([CHAT, pageTask(page.sha256), pageTask(absent)]), 404, 'blob_not_found', '/2/input/image')
  refused(await post(pageTask('short')), 'invalid_request', '/input/image/sha256')
  expect(await ledger(alice)).toEqual(before)
})

/** The JSON of an input, uploaded whole. */
async function uploadedInput(who: Person, input: unknown): Promise<{ sha256: string }> {
  const bytes = new TextEncoder().encode(typeof input === 'string' ? input : JSON.stringify(input))
  const hash = await sha256(bytes)
  expect((await put(who, hash, bytes)).status).toBe(201)
  return { sha256: hash }
}

test('an input of any kind is uploaded whole, and checked, priced and leased as if it stood there', async () => {
  const model = 'reads-uploads'
  const bob = await provider([
    { ...OFFER, model },
    { kind: 'text.embed', model, ask: '0.0000001', speed: 100 },
    { ...OCR, model },
  ])
  for (const [kind, input] of [
    ['llm.chat', { messages: [{ role: 'user', content: 'hello' }], max_tokens: 20 }],
    ['text.embed', { texts: ['one', 'two'] }],
    ['doc.ocr', { image: 'AAAA', mediaType: 'image/png' }],
  ] as const) {
    const inline = await submit(alice, { kind, model, input })
    await send('POST', `/v1/tasks/${inline.id}/cancel`, alice)
    const reference = await uploadedInput(alice, input)
    const quote = await send<{ candidates: number }>('POST', '/v1/quote', {
      token: alice.token,
      body: { kind, model, input: reference },
    })
    expect(quote.body.candidates).toBe(1)
    const { maxPrice, id } = await submit(alice, { kind, model, input: reference })
    expect(maxPrice).toBe(inline.maxPrice)
    const [lease] = (await poll(bob, { free: 1, waitSeconds: 10 })).leases
    expect(lease).toMatchObject({ id: `${id}.1`, input: reference })
    const read = await get(bob, `/v1/leases/${lease!.id}/blobs/${reference.sha256}`)
    expect(JSON.parse(new TextDecoder().decode(read.bytes))).toEqual(input)
    await send('POST', `/v1/tasks/${id}/cancel`, alice)
  }
})

test('an uploaded input that is none is refused at its place, and so is one that refers to more', async () => {
  await provider([OCR, OFFER])
  const before = await ledger(alice)
  const post = async (kind: string, content: unknown, who = alice) =>
    send('POST', '/v1/tasks', { token: alice.token, body: { kind, input: await uploadedInput(who, content) } })
  refused(await post('llm.chat', '{'), 'invalid_request', '/input')
  refused(await post('llm.chat', []), 'invalid_request', '/input')
  refused(await post('llm.chat', { messages: [] }), 'invalid_request', '/input/messages')
  const inner = (await uploaded(alice)).sha256
  refused(await post('doc.ocr', pageTask(inner).input), 'invalid_request', '/input')
  refused(await post('wasi.run', { module: { sha256: inner } }), 'invalid_request', '/input')
  denied(await post('llm.chat', { ...CHAT.input, user: 'mallory' }, mallory), 404, 'blob_not_found', '/input')
  const large = await uploadedInput(alice, { texts: ['x'.repeat(LIMITS.bodyBytes)] })
  denied(
    await send('POST', '/v1/tasks', { token: alice.token, body: { kind: 'text.embed', input: large } }),
    413,
    'body_too_large',
    '/input',
  )
  expect(await ledger(alice)).toEqual(before)
})

const account = (who: Person) => bindings.ACCOUNT.getByName(who.address)
const blobOf = async (who: Person, hash: string): Promise<BlobView> =>
  (await runInDurableObject(account(who), (instance) => instance.blob(hash)))!

test('a task keeps its input until a day after its deadline', async () => {
  await provider([OCR])
  const { sha256: hash } = await uploaded(alice)
  const { status, body } = await send<TaskView>('POST', '/v1/tasks', {
    token: alice.token,
    body: { ...pageTask(hash), deadlineSeconds: 7200 },
  })
  expect(status).toBe(201)
  const { keptUntil } = await blobOf(alice, hash)
  expect(keptUntil - body.createdAt - 7_200_000 - BLOB_KEPT_MS).toBeGreaterThan(-10_000)
})

test('what nobody needs any more is swept, and what is still needed stays', async () => {
  const who = await requester()
  const [old, young] = [await uploaded(who), await uploaded(who)]
  expect((await kept(who)).length).toBe(2)
  await runInDurableObject(account(who), (_, { storage }) => {
    storage.sql.exec('update blobs set kept_until = ? where sha256 = ?', Date.now() - 1, old.sha256)
  })
  denied(await send('GET', `/v1/blobs/${old.sha256}`, who), 404, 'blob_not_found')
  expect(await runDurableObjectAlarm(account(who))).toBe(true)
  expect(await kept(who)).toEqual([`${who.address}/${young.sha256}`])
  expect((await put(who, old.sha256, old.bytes)).status).toBe(201)
  expect((await get(who, `/v1/blobs/${old.sha256}`)).bytes).toEqual(old.bytes)
})

test('an upload that broke off is swept, with what it reserved', async () => {
  const who = await requester()
  const { sha256: hash } = await content()
  const blob = { sha256: hash, bytes: 1000, contentType: 'image/png', keptUntil: Date.now() }
  await runInDurableObject(account(who), (instance) => instance.reserveBlob(blob))
  denied(await send('GET', `/v1/blobs/${hash}`, who), 404, 'blob_not_found')
  expect(await runDurableObjectAlarm(account(who))).toBe(true)
  const left = await runInDurableObject(account(who), (_, { storage }) => [...storage.sql.exec('select * from blobs')])
  expect(left).toEqual([])
})

test('an account keeps no more than its quota, whatever the size of its blobs', async () => {
  const who = await requester()
  const kept = 'insert into blobs values(?, ?, ?, 1, ?)'
  const until = Date.now() + 60_000
  await runInDurableObject(account(who), (_, { storage }) => {
    storage.sql.exec(kept, 'a'.repeat(64), LIMITS.accountBlobBytes - 2 * 16_384, 'x/y', until)
  })
  const first = await uploaded(who, 16_385)
  expect((await send('DELETE', `/v1/blobs/${first.sha256}`, who)).status).toBe(204)
  await runDurableObjectAlarm(account(who))
  await uploaded(who, 10)
  await uploaded(who, 10)
  const { bytes, sha256: hash } = await content(10)
  denied(await put(who, hash, bytes), 403, 'blob_quota_exceeded')
})
