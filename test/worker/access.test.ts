/** Who may make which call, how often, and from where: every route against everybody there is. */
import { listDurableObjectIds } from 'cloudflare:test'
import { sign } from 'hono/jwt'
import { beforeAll, expect, test } from 'vitest'
import { hourName, hourOf } from '#core/public-log.ts'
import { app } from '#worker/app.ts'
import { sha256 } from '#worker/auth.ts'
import {
  bindings,
  CHAT,
  denied,
  OFFER,
  ORIGIN,
  poll,
  provider,
  request,
  requester,
  send,
  submit,
  work,
} from '../support/network.ts'

/**
 * What is in a path belongs to the requester where an API key may do it, and to the provider where that takes a sign-in.
 * Requesters come with API keys, providers with the sessions of sign-ins; the token that expired and the one for another
 * audience are sessions of the requester, the revoked one was a key of its.
 */
type Caller =
  | 'anonymous'
  | 'requester'
  | 'other requester'
  | 'provider'
  | 'other provider'
  | 'operator'
  | 'expired'
  | 'revoked'
  | 'wrong audience'
/** A status of success, or the code of the refusal. */
type Answer = number | string
type Row = Record<Caller, Answer>

const OUTSIDE = {
  anonymous: 'missing_credentials',
  operator: 'invalid_credentials',
  expired: 'expired_token',
  revoked: 'invalid_credentials',
  'wrong audience': 'invalid_credentials',
} as const

const row = (requester: Answer, otherRequester: Answer, provider: Answer, otherProvider: Answer): Row => ({
  ...OUTSIDE,
  requester,
  'other requester': otherRequester,
  provider,
  'other provider': otherProvider,
})
const anyone = (answer: Answer): Row => ({
  ...row(answer, answer, answer, answer),
  anonymous: answer,
  operator: answer,
  expired: answer,
  revoked: answer,
  'wrong audience': answer,
})
/** By key or sign-in; `others` is what whoever does not own it is told. */
const accounts = (owner: Answer, others: Answer = owner) => row(owner, others, others, others)
/** By sign-in alone. */
const signedIn = (owner: Answer, others: Answer = owner) => row('forbidden', 'forbidden', owner, others)
const operators = (answer: Answer): Row => ({
  ...row('forbidden', 'forbidden', 'forbidden', 'forbidden'),
  operator: answer,
})

const ROWS: Record<string, Row> = {
  'GET /v1/health': anyone(200),
  'GET /v1/openapi.json': anyone(200),
  'POST /v1/sign-in': anyone('invalid_request'),
  'GET /v1/account': accounts(200),
  'GET /v1/account/reputation': accounts(200),
  'GET /v1/account/lanes': accounts(200),
  'POST /v1/account/lanes/close': signedIn('lane_not_found'),
  'GET /v1/account/providers': signedIn(200),
  'GET /v1/account/providers/:address/why': signedIn(200, 'provider_not_found'),
  'POST /v1/account/faucet': signedIn(200),
  'GET /v1/keys': signedIn(200),
  'POST /v1/keys': signedIn(201),
  'DELETE /v1/keys/:id': signedIn(204, 'not_found'),
  'POST /v1/tasks': accounts(201),
  'GET /v1/tasks': accounts(200),
  'GET /v1/tasks/:id': accounts(200, 'task_not_found'),
  'GET /v1/tasks/:id/forecast': accounts(200, 'task_not_found'),
  'GET /v1/tasks/:id/decisions': accounts(200, 'task_not_found'),
  'GET /v1/tasks/:id/receipt': accounts('receipt_unsigned', 'task_not_found'),
  'GET /v1/tasks/:id/evidence': accounts('evidence_not_found', 'task_not_found'),
  'GET /v1/tasks/:id/events': accounts(200, 'task_not_found'),
  'GET /v1/tasks/:id/socket': accounts(101, 'task_not_found'),
  'POST /v1/tasks/:id/cancel': accounts(200, 'task_not_found'),
  'PUT /v1/blobs/:sha256': accounts(201),
  'GET /v1/blobs/:sha256': accounts(200, 'blob_not_found'),
  'POST /v1/quote': accounts(200),
  'GET /v1/webhooks': accounts(200),
  'POST /v1/webhooks': accounts(201),
  'GET /v1/webhooks/:id/deliveries': accounts(200, 'webhook_not_found'),
  'DELETE /v1/webhooks/:id': accounts(204, 'webhook_not_found'),
  'GET /v1/models': anyone(200),
  'GET /v1/models/:id{.+}': anyone(200),
  'POST /v1/chat/completions': accounts('model_not_found'),
  'POST /v1/completions': accounts('model_not_found'),
  'POST /v1/embeddings': accounts('model_not_found'),
  'POST /v1/files': accounts(200),
  'GET /v1/files': accounts(200),
  'GET /v1/files/:id': accounts(200, 'file_not_found'),
  'GET /v1/files/:id/content': accounts(200, 'file_not_found'),
  'POST /v1/batches': accounts(200, 'file_not_found'),
  'GET /v1/batches': accounts(200),
  'GET /v1/batches/:id': accounts(200, 'batch_not_found'),
  'POST /v1/batches/:id/cancel': accounts(200, 'batch_not_found'),
  'DELETE /v1/files/:id': accounts(200, 'file_not_found'),
  'POST /v1/provider/register': signedIn(200),
  'POST /v1/provider/poll': signedIn(200),
  'GET /v1/provider/why': signedIn(200),
  'GET /v1/provider/earnings': signedIn(200),
  'GET /v1/provider/socket': signedIn(101),
  'GET /v1/provider/vouchers': signedIn('no_chain'),
  'POST /v1/provider/lanes': signedIn('no_chain'),
  'POST /v1/provider/lanes/close': signedIn('no_chain'),
  'GET /v1/providers': anyone(200),
  'GET /v1/providers/:address': anyone(200),
  'GET /v1/providers/:address/history': anyone(200),
  'GET /v1/providers/:address/tasks': anyone(200),
  'PUT /v1/leases/:id/output': signedIn(200, 'lease_not_found'),
  'GET /v1/leases/:id/blobs/:sha256': signedIn(200, 'lease_not_found'),
  'DELETE /v1/blobs/:sha256': accounts(204, 'blob_not_found'),
  'GET /v1/leases/:id/output': signedIn(101, 'lease_not_found'),
  'GET /v1/network': anyone(200),
  'GET /v1/network/books': anyone(200),
  'GET /v1/network/cost': anyone(200),
  'GET /v1/network/series': anyone(200),
  'GET /v1/network/socket': anyone(101),
  'GET /v1/chain': anyone(200),
  'GET /v1/forecast': anyone(200),
  'GET /v1/forecast/record': anyone(200),
  'GET /v1/decisions': anyone(200),
  'GET /v1/reputations': anyone(200),
  'GET /v1/reputations/requesters': anyone(200),
  'GET /v1/exports': anyone(200),
  'GET /v1/exports/:hour': anyone(200),
  // Without the hours that it wants.
  'GET /v1/log/consistency': anyone('invalid_request'),
  'GET /v1/operator/metrics': operators(200),
  'GET /v1/operator/ready': operators(200),
}

const PAGE = 'a page to read'
const UPLOADED = 'content of everybody'
const OCR = { ...OFFER, kind: 'doc.ocr', model: 'reader' } as const
const OFFERS = { slots: 8, offers: [OFFER, OCR] }

const messages = [{ role: 'user', content: 'hello' }]
const NOBODY = `0x${'1'.repeat(40)}`
const WORD = `0x${'1'.repeat(64)}`
const SIGNATURE = `0x${'1'.repeat(128)}1b`
/** What each call is made with, where it takes a body. */
const BODIES: Record<string, unknown> = {
  'POST /v1/sign-in': {},
  'POST /v1/keys': { name: 'a key' },
  'POST /v1/tasks': CHAT,
  'POST /v1/quote': CHAT,
  'POST /v1/webhooks': { url: 'https://hooks.example/daicn' },
  'POST /v1/chat/completions': { model: 'nobody-has-this', messages },
  'POST /v1/completions': { model: 'nobody-has-this', prompt: 'hello' },
  'POST /v1/embeddings': { model: 'nobody-has-this', input: 'hello' },
  'POST /v1/provider/register': OFFERS,
  'POST /v1/provider/poll': { free: 0, seen: 0 },
  'POST /v1/provider/lanes': { requester: NOBODY },
  'POST /v1/account/lanes/close': { account: WORD, provider: NOBODY },
  'POST /v1/provider/lanes/close': {
    requester: NOBODY,
    statement: { provider: NOBODY, account: WORD, charged: '0', at: 0, closed: true, signature: SIGNATURE },
    release: { epoch: 0, deadline: 0, signature: SIGNATURE },
  },
  'PUT /v1/leases/:id/output': { from: 0, deltas: ['x'] },
}

let tokens: Record<Caller, string>
/** What stands for the parameters of a route's path, by the route or by what comes before them. */
let ids: Record<string, string>

beforeAll(async () => {
  const [alice, mallory, bob, carol] = await Promise.all([
    requester(),
    requester(),
    provider(OFFERS.offers),
    provider(),
  ])
  const exp = Math.floor(Date.now() / 1000)
  const sessionOf = (aud: string, exp: number) => sign({ sub: alice.address, aud, exp }, bindings.EDGE_SECRET, 'HS256')
  const keyOf = async (token: string) => {
    const { body } = await send<{ id: string; key: string }>('POST', '/v1/keys', { token, body: { name: 'a key' } })
    return body
  }
  const revoked = await keyOf(alice.session)
  await send('DELETE', `/v1/keys/${revoked.id}`, { token: alice.session })
  tokens = {
    anonymous: '',
    requester: alice.token,
    'other requester': mallory.token,
    provider: bob.token,
    'other provider': carol.token,
    operator: bindings.OPERATOR_TOKEN!,
    expired: await sessionOf(ORIGIN, exp - 1),
    revoked: revoked.key,
    'wrong audience': await sessionOf('https://other.test', exp + 600),
  }
  for (const { token } of [bob, carol]) await send('POST', '/v1/account/faucet', { token })

  const { body: webhook } = await send<{ id: string }>('POST', '/v1/webhooks', {
    token: alice.token,
    body: { url: 'https://hooks.example/daicn' },
  })
  const [file, unused] = await Promise.all([upload(alice.token), upload(alice.token)])
  const batch = await send<{ id: string }>('POST', '/v1/batches', { token: alice.token, body: batchOf(file!) })
  const page = await sha256(PAGE)
  await send('PUT', `/v1/blobs/${page}`, { token: alice.token, ...contentOf(PAGE) })
  const done = await work(alice, bob)
  const waiting = await submit(alice, {
    ...CHAT,
    deadlineSeconds: 600,
    requirements: { minReputation: 0, exclude: [bob.address, carol.address] },
  })
  await submit(alice, { ...CHAT, stream: true })
  await submit(alice, { kind: 'doc.ocr', model: 'reader', input: { image: { sha256: page }, mediaType: 'image/png' } })
  const { leases } = await poll(bob, { free: 2 })
  const leaseOf = (kind: string) => leases.find((lease) => lease.kind === kind)!.id
  BODIES['POST /v1/batches'] = batchOf(file!)
  ids = {
    '/v1/keys': (await keyOf(bob.token)).id,
    '/v1/tasks': done.id,
    'POST /v1/tasks/:id/cancel': waiting.id,
    '/v1/blobs': page,
    'PUT /v1/blobs/:sha256': await sha256(UPLOADED),
    '/v1/webhooks': webhook.id,
    '/v1/models': OFFER.model,
    '/v1/files': file!,
    'DELETE /v1/files/:id': unused!,
    '/v1/batches': batch.body.id,
    '/v1/providers': bob.address,
    '/v1/account/providers': bob.address,
    '/v1/leases': leaseOf('llm.chat'),
    'GET /v1/leases/:id/blobs/:sha256': leaseOf('doc.ocr'),
    '/v1/exports': hourName(hourOf(Date.now())),
  }
})

const batchOf = (file: string) => ({ input_file_id: file, endpoint: '/v1/chat/completions', completion_window: '24h' })

const contentOf = (text: string) => ({ raw: text, headers: { 'content-length': String(text.length) } })

const line = JSON.stringify({
  custom_id: 'a',
  method: 'POST',
  url: '/v1/chat/completions',
  body: { model: 'slow', messages },
})

async function formOf(): Promise<{ raw: ArrayBuffer; headers: Record<string, string> }> {
  const form = new FormData()
  form.append('purpose', 'batch')
  form.append('file', new File([line], 'in.jsonl'))
  const encoded = new Response(form)
  const headers = { 'content-type': encoded.headers.get('content-type')! }
  return { raw: await encoded.arrayBuffer(), headers }
}

async function upload(token: string): Promise<string> {
  return (await send<{ id: string }>('POST', '/v1/files', { token, ...(await formOf()) })).body.id
}

const routes = [...new Set(app.routes.map(({ method, path }) => `${method} ${path}`))]

test('every route says who may call it', () => {
  const missing = routes.filter((route) => !(route in ROWS))
  expect(missing, 'each needs a row in ROWS of test/worker/access.test.ts: what every caller is answered').toEqual([])
  expect(
    Object.keys(ROWS).filter((route) => !routes.includes(route)),
    'rows of routes that are no more',
  ).toEqual([])
})

test('everybody is answered as the table says', async () => {
  const wrong: string[] = []
  for (const [route, row] of Object.entries(ROWS)) {
    // Who owns what the path names comes last, for it may be gone then.
    const owners: Caller[] = ['requester', 'provider', 'operator']
    const callers = (Object.keys(row) as Caller[]).sort((x, y) => owners.indexOf(x) - owners.indexOf(y))
    for (const caller of callers) {
      const answer = await answerTo(route, tokens[caller])
      if (answer !== row[caller]) wrong.push(`${route} by ${caller}: ${answer} in place of ${row[caller]}`)
    }
  }
  expect(wrong).toEqual([])
})

async function answerTo(route: string, token: string): Promise<Answer> {
  const [method, path] = route.split(' ') as [string, string]
  const id = ids[route] ?? Object.entries(ids).find(([start]) => path.startsWith(`${start}/`))?.[1]
  const filled = path.replace(/:sha256$/, ids['/v1/blobs']!).replace(/:\w+(\{.*\})?/, id!)
  const response = await request(route === 'PUT /v1/blobs/:sha256' ? `/v1/blobs/${id}` : filled, {
    method,
    ...(await partsOf(route, token)),
  })
  if (response.webSocket) {
    response.webSocket.accept()
    response.webSocket.close()
  }
  const text = new TextDecoder().decode(await response.arrayBuffer())
  if (response.status < 400) return response.status
  const refusal = JSON.parse(text) as { code?: string; error?: { code: string } }
  return refusal.code ?? refusal.error!.code
}

async function partsOf(route: string, token: string): Promise<RequestInit> {
  const isSocket = /socket$|^GET .*\/output$/.test(route)
  const headers = { ...(token && { authorization: `Bearer ${token}` }), ...(isSocket && { upgrade: 'websocket' }) }
  if (route in BODIES) {
    return { headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(BODIES[route]) }
  }
  if (route === 'PUT /v1/blobs/:sha256') {
    return { headers: { ...headers, 'content-length': String(UPLOADED.length) }, body: UPLOADED }
  }
  if (route !== 'POST /v1/files') return { headers }
  const form = await formOf()
  return { headers: { ...headers, ...form.headers }, body: form.raw }
}

test('who calls too often is told to wait, by key, by account and by address, and nothing is done for it', async () => {
  const { token, session } = await requester()
  const limited = { ...bindings, CALLS_PER_MINUTE: '20' }
  const call = (path: string, headers: Record<string, string>, init: RequestInit = {}) =>
    app.request(`${ORIGIN}${path}`, { ...init, headers }, limited)
  const asKey = { authorization: `Bearer ${token}` }
  const first = await call('/v1/account', asKey)
  expect(first.headers.get('ratelimit-policy')).toBe('"key";q=20;w=60, "account";q=40;w=60')
  expect(first.headers.get('ratelimit')).toBe('"key";r=19;t=3, "account";r=39;t=2')
  const statuses = await Promise.all(Array.from({ length: 19 }, async () => (await call('/v1/account', asKey)).status))
  expect(new Set(statuses)).toEqual(new Set([200]))
  const submitted = { method: 'POST', body: JSON.stringify(CHAT) }
  const refused = await call('/v1/tasks', { ...asKey, 'content-type': 'application/json' }, submitted)
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '3'])
  expect(refused.headers.get('content-type')).toBe('application/problem+json')
  expect(await refused.json()).toMatchObject({ code: 'rate_limited', detail: 'more than 20 calls in 60 s (key)' })
  const asOpenAi = await call('/v1/files', asKey)
  expect(await asOpenAi.json()).toMatchObject({ error: { type: 'rate_limit_error', code: 'rate_limited' } })
  expect((await send('GET', '/v1/tasks', { token })).body).toMatchObject({ tasks: [] })

  // Another of its keys has calls of its own, until the account has none.
  const asOwner = { authorization: `Bearer ${session}` }
  for (let i = 0; i < 20; i++) expect((await call('/v1/account', asOwner)).status).toBe(200)
  expect((await call('/v1/account', asOwner)).status).toBe(429)

  const from = (ip: string, more = {}) => call('/v1/network', { 'cf-connecting-ip': ip, ...more })
  expect((await from('2001:db8::1')).headers.get('ratelimit-policy')).toBe('"ip";q=2;w=60')
  expect((await from('2001:db8::2')).status).toBe(200)
  expect((await from('2001:db8::3')).status).toBe(429)
  expect((await from('192.0.2.1')).status).toBe(200)
  // Nobody may guess keys for ever either; a sign-in counts as many calls.
  const guess = () => call('/v1/account', { 'cf-connecting-ip': '192.0.2.2', authorization: 'Bearer e30.e30.e30' })
  expect([(await guess()).status, (await guess()).status, (await guess()).status]).toEqual([401, 401, 429])
  const signIn = () => call('/v1/sign-in', { 'cf-connecting-ip': '192.0.2.3' }, { method: 'POST', body: '{}' })
  expect([(await signIn()).status, (await signIn()).status]).toEqual([415, 429])
})

test('a key that nobody made asks no account, and leaves none behind', async () => {
  const before = (await listDurableObjectIds(bindings.ACCOUNT)).length
  const made = `dk_${'7'.repeat(40)}_${'0'.repeat(12)}_${'1'.repeat(48)}`
  denied(await send('GET', '/v1/account', { token: made }), 401, 'invalid_credentials')
  expect((await listDurableObjectIds(bindings.ACCOUNT)).length).toBe(before)
})

test('pages of any origin may call the API by key, and never as somebody whom the browser knows', async () => {
  const headers = { origin: 'https://elsewhere.test', authorization: `Bearer ${tokens.requester}` }
  const answer = await request('/v1/account', { headers })
  expect(answer.headers.get('access-control-allow-origin')).toBe('*')
  expect(answer.headers.get('access-control-expose-headers')).toContain('retry-after')
  expect(answer.headers.has('access-control-allow-credentials')).toBe(false)
  expect(await answer.json()).toMatchObject({ address: expect.any(String) })
  const refusal = await request('/v1/account', { headers: { origin: 'https://elsewhere.test' } })
  expect([refusal.status, refusal.headers.get('access-control-allow-origin')]).toEqual([401, '*'])

  const asked = { origin: 'https://elsewhere.test', 'access-control-request-method': 'POST' }
  const preflight = await request('/v1/keys/x', { method: 'OPTIONS', headers: asked }).then((answer) => answer.headers)
  expect(preflight.get('access-control-allow-methods')).toBe('GET, POST, PUT, DELETE')
  expect(preflight.get('access-control-allow-headers')).toBe('authorization, *')
  expect(preflight.has('access-control-allow-credentials')).toBe(false)
  expect((await request('/v1/health')).headers.has('access-control-allow-origin')).toBe(false)
})
