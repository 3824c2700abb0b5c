import { beforeAll, expect, test } from 'vitest'
import { LIMITS } from '#core/protocol/values.ts'
import {
  ledger,
  OFFER,
  type Person,
  poll,
  provider,
  refusedAsOpenAi,
  request,
  requester,
  send,
  succeeded,
} from '../support/network.ts'

const EMBED = { model: 'embedder', input: 'a text' }
const TALK = { model: 'echo', messages: [{ role: 'user', content: 'hello' }], max_tokens: 20 }
let alice: Person & { session: string }

beforeAll(async () => {
  alice = await requester()
  await provider([OFFER, { kind: 'text.embed', model: 'embedder', ask: '0.0000001', speed: 100 }])
})

const TYPES: Record<number, string> = { 401: 'authentication_error', 402: 'insufficient_quota' }

/** Asserts that the call is refused so, in OpenAI's shape, and that it left nothing behind. */
async function refusedWhole(
  path: string,
  options: Parameters<typeof send>[2],
  status: number,
  code: string,
  param: string | null,
) {
  const before = await ledger(alice)
  const reply = await send('POST', `/v1/${path}`, { token: alice.token, ...options })
  const type = TYPES[status] ?? 'invalid_request_error'
  refusedAsOpenAi(reply, type, code, param)
  expect(reply.status).toBe(status)
  expect(await ledger(alice)).toEqual(before)
}

const json = { 'content-type': 'application/json' }

test.each(['chat/completions', 'embeddings'])('%s refuses a body that is none', async (path) => {
  await refusedWhole(path, { raw: '{', headers: json }, 400, 'malformed_json', null)
  await refusedWhole(path, { raw: '', headers: json }, 400, 'malformed_json', null)
  await refusedWhole(
    path,
    { raw: '{}', headers: { 'content-type': 'text/plain' } },
    415,
    'unsupported_media_type',
    null,
  )
  await refusedWhole(path, { raw: '[]', headers: json }, 400, 'invalid_request', null)
  await refusedWhole(path, { body: { input: 'x', messages: TALK.messages } }, 400, 'invalid_request', 'model')
  const huge = new Uint8Array(LIMITS.bodyBytes + 1)
  await refusedWhole(path, { raw: huge, headers: json }, 413, 'body_too_large', null)
})

test.each<[path: string, valid: object, field: string, value: unknown, param?: string]>([
  ['chat/completions', TALK, 'model', 7],
  ['chat/completions', TALK, 'model', 'm'.repeat(201)],
  ['chat/completions', TALK, 'messages', 'hello'],
  ['chat/completions', TALK, 'messages', []],
  ['chat/completions', TALK, 'messages', [{ role: 'king', content: 'x' }], 'messages[0].role'],
  ['chat/completions', TALK, 'max_tokens', 0],
  ['chat/completions', TALK, 'max_tokens', 1e9],
  ['chat/completions', TALK, 'max_completion_tokens', -1],
  ['chat/completions', TALK, 'temperature', 3],
  ['chat/completions', TALK, 'top_p', 'high'],
  ['chat/completions', TALK, 'stop', ['a', 'b', 'c', 'd', 'e']],
  ['chat/completions', TALK, 'stream', 'yes'],
  ['chat/completions', TALK, 'stream_options', { include_usage: 1 }, 'stream_options.include_usage'],
  ['embeddings', EMBED, 'model', ''],
  ['embeddings', EMBED, 'input', ''],
  ['embeddings', EMBED, 'input', []],
  ['embeddings', EMBED, 'input', Array(2049).fill('x')],
  ['embeddings', EMBED, 'encoding_format', 'base32'],
])('%s refuses %o with %s = %j', async (path, valid, field, value, param = field) => {
  await refusedWhole(path, { body: { ...valid, [field]: value } }, 400, 'invalid_request', param)
})

test('a model that nobody has offered for this kind is not found', async () => {
  await refusedWhole('chat/completions', { body: { ...TALK, model: 'embedder' } }, 404, 'model_not_found', 'model')
  await refusedWhole('embeddings', { body: { ...EMBED, model: 'echo' } }, 404, 'model_not_found', 'model')
})

test('what is too large for an input is uploaded by itself, and given to the provider that way', async () => {
  const model = 'large-inputs'
  const bob = await provider([{ ...OFFER, model }])
  const url = `data:image/png;base64,${'A'.repeat(LIMITS.inputBytes)}`
  const messages = [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'What is this?' },
        { type: 'image_url', image_url: { url } },
      ],
    },
  ]
  const seeing = await provider([{ ...OFFER, model: 'sees', capabilities: ['image_url'] }])
  for (const [who, body] of [
    [bob, { ...TALK, model, messages: [{ role: 'user', content: 'x'.repeat(LIMITS.inputBytes) }] }],
    [seeing, { ...TALK, model: 'sees', messages }],
  ] as const) {
    const answer = send<{ choices: unknown[] }>('POST', '/v1/chat/completions', { token: alice.token, body })
    const [lease] = (await poll(who, { free: 1, waitSeconds: 10 })).leases
    const { sha256 } = lease!.input as { sha256: string }
    const content = await request(`/v1/leases/${lease!.id}/blobs/${sha256}`, {
      headers: { authorization: `Bearer ${who.token}` },
    })
    expect(await content.json()).toEqual({ messages: body.messages, max_tokens: 20 })
    await poll(who, { seen: lease!.seq, results: [succeeded(lease!.id)] })
    expect((await answer).status).toBe(200)
  }
})

test('who cannot pay, and who is nobody, is told so', async () => {
  const max_tokens = 131_072
  await send('POST', '/v1/keys', { token: alice.session, body: { name: 'poor', budget: '0' } }).then(({ body }) =>
    refusedWhole(
      'chat/completions',
      { token: (body as { key: string }).key, body: { ...TALK, max_tokens } },
      402,
      'insufficient_funds',
      null,
    ),
  )
  await refusedWhole('embeddings', { token: 'dk_wrong', body: EMBED }, 401, 'invalid_credentials', null)
})

test('a wrong method and a wrong route are told in the shape of where they came', async () => {
  refusedAsOpenAi(await send('GET', '/v1/embeddings'), 'invalid_request_error', 'method_not_allowed', null)
  expect((await send('GET', '/v1/chat/completions')).headers.get('allow')).toBe('POST')
  refusedAsOpenAi(await send('POST', '/v1/models/x'), 'invalid_request_error', 'method_not_allowed', null)
})
