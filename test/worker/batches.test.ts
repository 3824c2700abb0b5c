import { expect, test } from 'vitest'
import type { BatchView, FileView } from '#core/batch.ts'
import { FILE_LIMITS } from '#core/batch.ts'
import type { Lease } from '#core/protocol/lease.ts'
import {
  accountOf,
  failed,
  OFFER,
  type Person,
  poll,
  provider,
  type Reply,
  refusedAsOpenAi,
  request,
  requester,
  send,
  succeeded,
} from '../support/network.ts'

type Requester = Person & { session: string }
type OutputLine = {
  id: string
  custom_id: string
  response: { status_code: number; body: { model?: string; choices?: unknown[]; error?: { code: string } } } | null
  error: { code: string } | null
}

let models = 0
const newModel = () => `batch-${models++}`

async function upload(who: Person, content: string | Blob, fields: Record<string, string> = { purpose: 'batch' }) {
  const form = new FormData()
  form.append('file', new File([content], 'in.jsonl'))
  for (const [name, value] of Object.entries(fields)) form.append(name, value)
  // As an encoded body, so that it comes as it would over the wire.
  const encoded = new Response(form)
  const headers = { 'content-type': encoded.headers.get('content-type')! }
  return send<FileView>('POST', '/v1/files', { token: who.token, raw: await encoded.arrayBuffer(), headers })
}

async function contentOf(who: Person, id: string): Promise<string> {
  const reply = await request(`/v1/files/${id}/content`, { headers: { authorization: `Bearer ${who.token}` } })
  return new TextDecoder().decode(await reply.arrayBuffer())
}

const linesOf = async (who: Person, id: string): Promise<OutputLine[]> =>
  (await contentOf(who, id))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as OutputLine)

const line = (custom_id: string, body: object, url = '/v1/chat/completions') =>
  JSON.stringify({ custom_id, method: 'POST', url, body })

const chat = (model: string, content = 'hello') => ({ model, messages: [{ role: 'user', content }], max_tokens: 20 })

async function start(who: Person, lines: string[], endpoint = '/v1/chat/completions'): Promise<BatchView> {
  const { body: file } = await upload(who, lines.join('\n'))
  const { status, body } = await send<BatchView>('POST', '/v1/batches', {
    token: who.token,
    body: { input_file_id: file.id, endpoint, completion_window: '24h', metadata: { a: 'b' } },
  })
  expect(status).toBe(200)
  return body
}

/** Waits for the batch to be over; meanwhile the provider does what it is given. */
async function untilOver(who: Person, { id }: BatchView, bob?: Person, answer = (lease: Lease) => succeeded(lease.id)) {
  let seen = 0
  let results: ReturnType<typeof answer>[] = []
  for (;;) {
    const { body } = await send<BatchView>('GET', `/v1/batches/${id}`, who)
    if (['completed', 'failed', 'cancelled', 'expired'].includes(body.status)) return body
    if (bob) {
      const { leases } = await poll(bob, { free: 50, seen, results, waitSeconds: 0.5 })
      seen = Math.max(seen, ...leases.map(({ seq }) => seq))
      results = leases.map(answer)
    } else await scheduler.wait(50)
  }
}

test('a file is kept as it came, also one of several pages', async () => {
  const alice = await requester()
  const text = `${'0123456789\r\n--abcde'.repeat(500_000)}end`
  expect(text.length).toBeGreaterThan(FILE_LIMITS.pageBytes * 2)
  const { status, body } = await upload(alice, text)
  expect(status).toBe(200)
  expect(body).toEqual({
    id: expect.stringMatching(/^file-/),
    object: 'file',
    bytes: text.length,
    created_at: expect.any(Number),
    filename: 'in.jsonl',
    purpose: 'batch',
    status: 'processed',
  })
  expect((await contentOf(alice, body.id)) === text).toBe(true)
  expect((await send('GET', `/v1/files/${body.id}`, alice)).body).toEqual(body)
  const { body: second } = await upload(alice, 'x')
  const { body: list } = await send<{ data: FileView[]; has_more: boolean }>('GET', '/v1/files?limit=1', alice)
  expect(list).toMatchObject({ object: 'list', has_more: true })
  const rest = await send<{ data: FileView[] }>('GET', `/v1/files?after=${list.data[0]!.id}`, alice)
  expect([...list.data, ...rest.body.data].map(({ id }) => id).sort()).toEqual([body.id, second.id].sort())

  const deleted = await send('DELETE', `/v1/files/${body.id}`, alice)
  expect(deleted.body).toEqual({ id: body.id, object: 'file', deleted: true })
  for (const path of [body.id, `${body.id}/content`]) {
    const reply: Reply<unknown> = await send('GET', `/v1/files/${path}`, alice)
    expect(reply.status).toBe(404)
    refusedAsOpenAi(reply, 'invalid_request_error', 'file_not_found', null)
  }
})

test('a file is its own account’s, and a form that is none leaves nothing', async () => {
  const [alice, mallory] = [await requester(), await requester()]
  const { body } = await upload(alice, 'x')
  expect((await send('GET', `/v1/files/${body.id}`, mallory)).status).toBe(404)
  refusedAsOpenAi(
    await upload(mallory, 'x', { purpose: 'vision' }),
    'invalid_request_error',
    'invalid_request',
    'purpose',
  )
  refusedAsOpenAi(
    await upload(mallory, 'x', { purpose: 'batch', colour: 'red' }),
    'invalid_request_error',
    'invalid_request',
    'colour',
  )
  const json = await send('POST', '/v1/files', { token: mallory.token, body: {} })
  refusedAsOpenAi(json, 'invalid_request_error', 'unsupported_media_type', null)
  const cut = { raw: '--x\r\ncontent-disposition: form-data; name="file"\r\n\r\nabc' }
  const headers = { 'content-type': 'multipart/form-data; boundary=x' }
  refusedAsOpenAi(
    await send('POST', '/v1/files', { token: mallory.token, ...cut, headers }),
    'invalid_request_error',
    'invalid_request',
    null,
  )
  expect((await send<{ data: unknown[] }>('GET', '/v1/files', mallory)).body.data).toEqual([])
})

test('every line is answered once, in the output or in the error file, and charged once', async () => {
  const [alice, model] = [await requester(), newModel()]
  const bob = await provider([{ ...OFFER, model }], 60)
  const lines = [
    line('good', chat(model)),
    line('unknown', chat('nobody-has-this')),
    line('bad', { ...chat(model), temperature: 9 }),
    '',
    line('unknown too', chat('nobody-has-this')),
    line('needy', { ...chat(model), n: 2 }),
    line('fails', { ...chat(model, 'fail'), daicn: { maxAttempts: 1 } }),
    ...Array.from({ length: 60 }, (_, i) => line(`more ${i}`, chat(model))),
  ]
  const begun = await start(alice, lines)
  expect(begun).toMatchObject({ object: 'batch', status: 'validating', metadata: { a: 'b' }, output_file_id: null })
  const over = await untilOver(alice, begun, bob, (lease) =>
    JSON.stringify(lease.input).includes('"fail"') ? (failed(lease.id) as never) : succeeded(lease.id),
  )
  expect(over).toMatchObject({
    status: 'completed',
    errors: null,
    request_counts: { total: 66, completed: 61, failed: 5 },
  })

  const output = await linesOf(alice, over.output_file_id!)
  expect(output.map(({ custom_id }) => custom_id)).toEqual([
    'good',
    ...Array.from({ length: 60 }, (_, i) => `more ${i}`),
  ])
  expect(output[0]).toMatchObject({
    id: expect.stringMatching(/^batch_req_/),
    error: null,
    response: { status_code: 200, body: { object: 'chat.completion', model } },
  })
  const errors = await linesOf(alice, over.error_file_id!)
  const shown = errors.map(({ custom_id, response }) => [custom_id, response!.status_code, response!.body.error!.code])
  expect(shown).toEqual([
    ['unknown', 404, 'model_not_found'],
    ['bad', 400, 'invalid_request'],
    ['unknown too', 404, 'model_not_found'],
    ['needy', 400, 'unsupported_parameter'],
    ['fails', 502, 'task_failed'],
  ])
  // 61 tasks of 4 output and 8 input tokens.
  expect(Number((await accountOf(alice)).spent)).toBeCloseTo(61 * 6 * 0.000001, 9)
  expect((await send<FileView>('GET', `/v1/files/${over.output_file_id}`, alice)).body).toMatchObject({
    purpose: 'batch_output',
    bytes: (await contentOf(alice, over.output_file_id!)).length,
  })
  const { body: list } = await send<{ data: BatchView[] }>('GET', '/v1/batches', alice)
  expect(list.data).toEqual([over])
})

test('a file that is no batch fails before anything is charged, and says where', async () => {
  const alice = await requester()
  const over = await untilOver(
    alice,
    await start(alice, ['{', line('a', chat('m')), line('a', chat('m')), line('b', chat('m'), '/v1/embeddings')]),
  )
  expect(over).toMatchObject({ status: 'failed', output_file_id: null, error_file_id: null })
  expect(over.errors!.data.map(({ code, line, param }) => [code, line, param])).toEqual([
    ['malformed_json', 1, null],
    ['invalid_request', 3, 'custom_id'],
    ['invalid_request', 4, 'url'],
  ])
  const body = { input_file_id: 'file-none', endpoint: '/v1/embeddings', completion_window: '24h' }
  const none = await send('POST', '/v1/batches', { token: alice.token, body })
  refusedAsOpenAi(none, 'invalid_request_error', 'file_not_found', 'input_file_id')
  const soon = await send('POST', '/v1/batches', { token: alice.token, body: { ...body, completion_window: '1h' } })
  refusedAsOpenAi(soon, 'invalid_request_error', 'invalid_request', 'completion_window')
})

test('a cancelled batch keeps what was done and names the rest', async () => {
  const [alice, model] = [await requester(), newModel()]
  const bob = await provider([{ ...OFFER, model }], 1)
  const batch = await start(
    alice,
    Array.from({ length: 5 }, (_, i) => line(`${i}`, chat(model))),
  )
  const [lease] = (await poll(bob, { free: 1, waitSeconds: 20 })).leases
  await poll(bob, { seen: lease!.seq, results: [succeeded(lease!.id)] })
  const { body } = await send<BatchView>('POST', `/v1/batches/${batch.id}/cancel`, alice)
  expect(body.status).toBe('cancelling')
  const over = await untilOver(alice, batch)
  expect(over).toMatchObject({ status: 'cancelled', request_counts: { total: 5, completed: 1, failed: 4 } })
  const errors = await linesOf(alice, over.error_file_id!)
  expect(errors.map(({ error }) => error!.code)).toEqual(Array(4).fill('batch_cancelled'))
  const again = await send('POST', `/v1/batches/${batch.id}/cancel`, alice)
  refusedAsOpenAi(again, 'invalid_request_error', 'batch_over', null)
})

test('a batch whose account cannot pay says so for each line', async () => {
  const [alice, model] = [await requester(), newModel()]
  await provider([{ ...OFFER, model }])
  const { body: poor } = await send<{ key: string }>('POST', '/v1/keys', {
    token: (alice as Requester).session,
    body: { name: 'poor', budget: '0' },
  })
  const who = { ...alice, token: poor.key }
  const over = await untilOver(
    who,
    await start(
      who,
      Array.from({ length: 3 }, (_, i) => line(`${i}`, chat(model))),
    ),
  )
  expect(over).toMatchObject({ status: 'completed', request_counts: { total: 3, completed: 0, failed: 3 } })
  const errors = await linesOf(who, over.error_file_id!)
  expect(errors.map(({ response }) => response!.body.error!.code)).toEqual(Array(3).fill('insufficient_funds'))
})
