import { listDurableObjectIds } from 'cloudflare:test'
import { beforeAll, expect, test } from 'vitest'
import type { ErrorCode } from '#core/errors.ts'
import type { TaskView } from '#core/protocol/task.ts'
import { LIMITS } from '#core/protocol/values.ts'
import {
  bindings,
  CHAT,
  ledger,
  type Person,
  provider,
  read,
  refused,
  requester,
  send,
  submit,
} from '../support/network.ts'

let alice: Person & { session: string }
let bob: Person

beforeAll(async () => {
  alice = await requester()
  bob = await provider()
})

const json = { 'content-type': 'application/json' }
const post = (raw: BodyInit, headers: Record<string, string> = json) =>
  send('POST', '/v1/tasks', { token: alice.token, raw, headers })
const chatOf = (content: string) => ({ ...CHAT, input: { messages: [{ role: 'user', content }], max_tokens: 20 } })

/** Asserts that the call is refused so, and that it left nothing behind. */
async function refusedWhole(call: () => ReturnType<typeof send>, status: number, code: ErrorCode, pointer?: string) {
  const before = await ledger(alice)
  const reply = await call()
  refused(reply, code, pointer)
  expect(reply.status).toBe(status)
  expect(await ledger(alice)).toEqual(before)
}

const deepChat = (depth: number) => JSON.stringify(CHAT).replace('"max_tokens"', `"x":${nested(depth)},"max_tokens"`)
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

test.each<[name: string, body: BodyInit, status: number, code: ErrorCode, pointer?: string]>([
  ['an empty body', '', 400, 'malformed_json'],
  ['half an object', '{"kind":"llm.chat"', 400, 'malformed_json'],
  ['two documents', '{}{}', 400, 'malformed_json'],
  ['a lone NaN', 'NaN', 400, 'malformed_json'],
  ['bytes that are not UTF-8', new Uint8Array([0x22, 0xff, 0xfe, 0x22]), 400, 'malformed_json'],
  ['null', 'null', 422, 'invalid_request', ''],
  ['a number', '1e999', 422, 'invalid_request', ''],
  ['an empty batch', '[]', 422, 'invalid_request', ''],
  ['a batch of one task that is none', '[7]', 422, 'invalid_request', '/0'],
  ['a kind that is no text', '{"kind":{},"input":{}}', 422, 'invalid_request', '/kind'],
  ['no input', '{"kind":"llm.chat"}', 422, 'invalid_request', '/input'],
  ['deep nesting', nested(200_000), 422, 'invalid_request', ''],
  ['deep nesting in an input', deepChat(50_000), 422, 'invalid_request', ''],
])('%s is refused', async (_, body, status, code, pointer) => {
  await refusedWhole(() => post(body), status, code, pointer)
})

test.each([
  undefined,
  'text/plain',
  'application/x-www-form-urlencoded',
  'application/jsonp',
  'json',
  'multipart/json',
])('the content type %s is refused', async (type) => {
  const raw = new TextEncoder().encode(JSON.stringify(CHAT))
  await refusedWhole(() => post(raw, type ? { 'content-type': type } : {}), 415, 'unsupported_media_type')
})

test('JSON is taken under any of its content types', async () => {
  for (const type of ['application/json; charset=utf-8', 'APPLICATION/JSON', 'application/merge-patch+json']) {
    expect((await post(JSON.stringify(CHAT), { 'content-type': type })).status).toBe(201)
  }
})

test.each<[field: string, value: unknown, status: number, code: ErrorCode, pointer?: string]>([
  ['kind', 'llm.dream', 422, 'unknown_kind'],
  ['kind', '__proto__', 422, 'unknown_kind'],
  ['kind', 'constructor', 422, 'unknown_kind'],
  ['model', 'nobody-has-this', 404, 'unknown_model'],
  ['model', '', 422, 'invalid_request'],
  ['model', 'm'.repeat(201), 422, 'invalid_request'],
  ['maxPrice', '-1', 422, 'invalid_request'],
  ['maxPrice', '1e3', 422, 'invalid_request'],
  ['maxPrice', 'much', 422, 'invalid_request'],
  ['maxPrice', '', 422, 'invalid_request'],
  ['maxPrice', ' 1', 422, 'invalid_request'],
  ['maxPrice', '٣', 422, 'invalid_request'],
  ['maxPrice', 1, 422, 'invalid_request'],
  ['maxPrice', null, 422, 'invalid_request'],
  ['maxPrice', `1${'0'.repeat(18)}`, 422, 'invalid_request'],
  ['maxPrice', '0.0000000000000000001', 422, 'invalid_request'],
  ['maxPrice', '0', 422, 'price_below_unit'],
  ['maxPrice', '0.000000000000000001', 422, 'price_below_unit'],
  ['deadlineSeconds', 0, 422, 'invalid_request'],
  ['deadlineSeconds', 86_401, 422, 'invalid_request'],
  ['deadlineSeconds', 1.5, 422, 'invalid_request'],
  ['deadlineSeconds', '60', 422, 'invalid_request'],
  ['maxAttempts', 0, 422, 'invalid_request'],
  ['maxAttempts', 11, 422, 'invalid_request'],
  ['preference', 'slowest', 422, 'invalid_request'],
  ['stream', 'yes', 422, 'invalid_request'],
  ['requirements', { minReputation: 1.1 }, 422, 'invalid_request', '/requirements/minReputation'],
  ['requirements', { region: 'moon' }, 422, 'invalid_request', '/requirements/region'],
  ['requirements', { exclude: ['0x1'] }, 422, 'invalid_request', '/requirements/exclude/0'],
  ['requirements', { colour: 'red' }, 422, 'invalid_request', '/requirements/colour'],
  ['surprise', 1, 422, 'invalid_request', '/surprise'],
  ['a/b~c', 1, 422, 'invalid_request', '/a~1b~0c'],
  ['constructor', {}, 422, 'invalid_request', '/constructor'],
  ['input', 7, 422, 'invalid_request', '/input'],
  ['input', {}, 422, 'invalid_request', '/input/messages'],
  ['input', { messages: [] }, 422, 'invalid_request', '/input/messages'],
  ['input', { messages: [{ role: 'user' }, { role: 'king' }] }, 422, 'invalid_request', '/input/messages/1/role'],
  ['input', { ...CHAT.input, max_tokens: 0 }, 422, 'invalid_request', '/input/max_tokens'],
  ['input', { ...CHAT.input, temperature: '1' }, 422, 'invalid_request', '/input/temperature'],
])('a task with %s = %j is refused', async (field, value, status, code, pointer = `/${field}`) => {
  await refusedWhole(() => post(JSON.stringify({ ...CHAT, [field]: value })), status, code, pointer)
  const batch = [CHAT, { ...CHAT, [field]: value }]
  await refusedWhole(() => post(JSON.stringify(batch)), status, code, `/1${pointer}`)
  await refusedWhole(() => post(JSON.stringify([batch[1]])), status, code, `/0${pointer}`)
})

test('a price that nobody has is not a malformed one', async () => {
  await refusedWhole(() => post(JSON.stringify({ ...CHAT, maxPrice: '9'.repeat(18) })), 402, 'insufficient_funds')
})

test('keys with a meaning to JavaScript have none here', async () => {
  await refusedWhole(() => post(`{"__proto__":{"kind":"llm.chat"},"input":{}}`), 422, 'invalid_request', '/kind')
  const chatWith = (more: string) =>
    `{"kind":"llm.chat","model":"echo","input":{"messages":[{"role":"user","content":"x","__proto__":{"y":1}}],${more}}}`
  expect((await post(chatWith('"__proto__":{"polluted":true}'))).status).toBe(201)
  // A field that nobody honours, like any other.
  const unknown = chatWith('"constructor":{"prototype":{"polluted":true}}')
  await refusedWhole(() => post(unknown), 422, 'unsupported_parameter', '/input/constructor')
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
})

test('an input is counted in bytes: 256 KiB are taken, one more is not', async () => {
  const around = JSON.stringify(chatOf('').input).length
  const content = 'é'.repeat((LIMITS.inputBytes - around) / 2).padEnd(1, 'x')
  const exact = content + 'x'.repeat(LIMITS.inputBytes - around - content.length * 2)
  await refusedWhole(() => post(JSON.stringify(chatOf(`${exact}x`))), 413, 'body_too_large', '/input')
  expect((await post(JSON.stringify(chatOf(exact)))).status).toBe(201)
})

test('a body over 8 MiB is refused, with its length told or streamed', async () => {
  const bytes = new Uint8Array(LIMITS.bodyBytes + 1).fill(0x20)
  await refusedWhole(() => post(bytes), 413, 'body_too_large')
  await refusedWhole(() => post(streamOf(bytes)), 413, 'body_too_large')
})

test('a body of unknown length is taken when it is small enough, however it is cut', async () => {
  const bytes = new TextEncoder().encode(JSON.stringify(chatOf('schön')))
  const { status, body } = await post(streamOf(bytes, 1))
  expect(status).toBe(201)
  expect((await read(alice, (body as TaskView).id)).status).toBe('queued')
})

test('a batch of 1,000 is taken, of 1,001 refused', async () => {
  const task = { ...CHAT, maxPrice: '0.0001' }
  await refusedWhole(() => post(JSON.stringify(Array(1001).fill(task))), 422, 'invalid_request', '')
  const { status, body } = await post(JSON.stringify(Array(1000).fill(task)))
  expect([status, (body as { tasks: TaskView[] }).tasks.length]).toEqual([201, 1000])
})

test.each(['soon', '', '-1', 'NaN', 'Infinity', '1s'])('waitSeconds=%s is refused', async (wait) => {
  const path = `/v1/tasks?waitSeconds=${wait}`
  await refusedWhole(() => send('POST', path, { ...alice, body: CHAT }), 422, 'invalid_request', '?waitSeconds')
})

test('what is not there and what is not yours are answered alike', async () => {
  const [mine, mallory] = [await submit(alice), await requester()]
  const unknown = `${mine.id.slice(0, -4)}${mine.id.endsWith('zzzz') ? 'yyyy' : 'zzzz'}`
  for (const [method, rest] of [
    ['GET', ''],
    ['GET', '?waitSeconds=1'],
    ['POST', '/cancel'],
    ['GET', '/events'],
    ['GET', '/socket'],
  ] as const) {
    const headers = rest === '/socket' ? { upgrade: 'websocket' } : {}
    const [foreign, absent] = await Promise.all(
      [mine.id, unknown].map((id) => send(method, `/v1/tasks/${id}${rest}`, { token: mallory.token, headers })),
    )
    refused(foreign!, 'task_not_found')
    expect({ ...(foreign!.body as object), requestId: 0 }).toEqual({ ...(absent!.body as object), requestId: 0 })
  }
  expect((await read(alice, mine.id)).status).toBe('queued')
})

test('malformed ids lead nowhere, and make nothing', async () => {
  const before = (await listDurableObjectIds(bindings.MARKET)).length
  const ids = [
    'x',
    'c1-',
    'c1-%00',
    '%E0%A4%A',
    '..%2Fx',
    'C1-000000000abcdefgh',
    'nowhere-000000000abcdefgh',
    'x'.repeat(4000),
  ]
  for (const id of ids) {
    refused(await send('GET', `/v1/tasks/${id}`, alice), 'task_not_found')
    refused(await send('POST', `/v1/tasks/${id}/cancel`, alice), 'task_not_found')
    const frame = { token: bob.token, body: { from: 0, deltas: ['x'] } }
    refused(await send('PUT', `/v1/leases/${id}.1/output`, frame), 'lease_not_found')
  }
  expect((await listDurableObjectIds(bindings.MARKET)).length).toBe(before)
})

test.each([
  ['DELETE', '/v1/tasks', 'GET, HEAD, POST'],
  ['PUT', '/v1/tasks/c1-000000000abcdefgh', 'GET, HEAD'],
  ['GET', '/v1/sign-in', 'POST'],
  ['POST', '/v1/network', 'GET, HEAD'],
  ['PATCH', '/v1/keys', 'GET, HEAD, POST'],
  ['POST', '/v1/leases/c1-000000000abcdefgh.1/output', 'GET, HEAD, PUT'],
])('%s %s is told which methods there are', async (method, path, allowed) => {
  const reply = await send(method, path, { token: alice.session })
  refused(reply, 'method_not_allowed')
  expect([reply.status, reply.headers.get('allow')]).toEqual([405, allowed])
})

test('an unknown route is not found', async () => {
  for (const path of ['/v1/nothing', '/v1/tasks/a/b', '/v1/']) {
    const reply = await send('GET', path)
    refused(reply, 'not_found')
    expect(reply.status).toBe(404)
  }
})

test('a socket route says that it is one', async () => {
  const { id } = await submit(alice)
  const routes = [`/v1/tasks/${id}/socket`, '/v1/network/socket', '/v1/provider/socket', '/v1/leases/x.1/output']
  for (const path of routes) {
    const reply = await send('GET', path, { token: alice.session })
    refused(reply, 'upgrade_required')
    expect(reply.status).toBe(426)
  }
})

function streamOf(bytes: Uint8Array, chunk = 65_536): ReadableStream {
  let at = 0
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close()
      controller.enqueue(bytes.slice(at, at + chunk))
      at += chunk
    },
  })
}
