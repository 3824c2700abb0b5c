import { evictDurableObject } from 'cloudflare:test'
import { beforeAll, expect, test } from 'vitest'
import type { Lease } from '#core/protocol/lease.ts'
import type { TaskView } from '#core/protocol/task.ts'
import { roomOf } from '#core/task-id.ts'
import {
  accountOf,
  bindings,
  failed,
  OFFER,
  openEvents,
  type Person,
  poll,
  provider,
  refusedAsOpenAi,
  requester,
  send,
  succeeded,
} from '../support/network.ts'

let alice: Person & { session: string }
let models = 0

beforeAll(async () => {
  alice = await requester()
})

type Chunk = {
  id: string
  object: string
  model: string
  choices: { index: number; delta: { role?: string; content?: string }; finish_reason: string | null }[]
  usage?: Record<string, number>
  error?: { code: string; type: string; message: string }
}

const talk = (model: string) => ({ model, messages: [{ role: 'user', content: 'hello' }], max_tokens: 20 })

/** A provider of a model of its own, and the next lease it is given. */
async function offering(kind: 'llm.chat' | 'text.embed' = 'llm.chat') {
  const model = `${kind}-${models++}`
  const bob = await provider([{ ...OFFER, kind, model }])
  const lease = async (): Promise<Lease> => (await poll(bob, { free: 1, waitSeconds: 10 })).leases[0]!
  const put = (id: string, from: number, deltas: string[]) =>
    send('PUT', `/v1/leases/${id}/output`, { token: bob.token, body: { from, deltas } })
  return { model, bob, lease, put }
}

const chatStream = (model: string, more: object = {}) =>
  openEvents<Chunk | '[DONE]'>('/v1/chat/completions', {
    token: alice.token,
    body: { ...talk(model), stream: true, ...more },
  })

async function chunksOf(stream: Awaited<ReturnType<typeof chatStream>>): Promise<Chunk[]> {
  const events = await stream.rest()
  expect(events.at(-1)).toEqual({ data: '[DONE]' })
  return events.slice(0, -1).map(({ data }) => data as Chunk)
}

const contentOf = (chunks: Chunk[]) => chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')

test('a chat is streamed in chunks that join to its content', async () => {
  const { model, bob, lease, put } = await offering()
  const stream = await chatStream(model, { stream_options: { include_usage: true } })
  const { id, seq, stream: streams, input } = await lease()
  expect([streams, input]).toEqual([true, { messages: talk(model).messages, max_tokens: 20 }])
  const first = (await stream.next()).data as Chunk
  expect(first.choices[0]!.delta).toEqual({ role: 'assistant', content: '' })
  for (const [from, delta] of ['hel', 'lo '].entries()) {
    await put(id, from, [delta])
    expect(((await stream.next()).data as Chunk).choices[0]!.delta).toEqual({ content: delta })
  }
  await poll(bob, { seen: seq, results: [succeeded(id)] })

  const chunks = await chunksOf(stream)
  expect(`hello ${contentOf(chunks)}`).toBe('hello there')
  const [end, usage] = chunks.slice(-2)
  expect(end!.choices[0]).toMatchObject({ delta: {}, finish_reason: 'stop' })
  expect(usage).toMatchObject({
    choices: [],
    usage: { prompt_tokens: 8, completion_tokens: 4, total_tokens: 12 },
  })
  for (const chunk of [first, ...chunks]) {
    expect(chunk).toMatchObject({ id: first.id, object: 'chat.completion.chunk', model })
  }
  expect(first.id).toBe(`chatcmpl-${stream.headers.get('x-daicn-task')}`)
})

test('a stream tells its usage only when asked', async () => {
  const { model, bob, lease } = await offering()
  const stream = await chatStream(model)
  const { id, seq } = await lease()
  await poll(bob, { seen: seq, results: [succeeded(id)] })
  const chunks = await chunksOf(stream)
  expect(contentOf(chunks)).toBe('hello there')
  expect(chunks.filter((chunk) => 'usage' in chunk)).toEqual([])
  expect(chunks.at(-1)!.choices[0]!.finish_reason).toBe('stop')
})

test('a stream does not repeat itself when its room is evicted', async () => {
  const { model, bob, lease, put } = await offering()
  const stream = await chatStream(model)
  const { id, seq } = await lease()
  await put(id, 0, ['hel', 'lo'])
  await evictDurableObject(bindings.TASK_ROOM.getByName(roomOf(id.slice(0, -2))))
  await put(id, 0, ['hel', 'lo', ' th'])
  await poll(bob, { seen: seq, results: [succeeded(id)] })
  expect(contentOf(await chunksOf(stream))).toBe('hello there')
})

test('a stream whose task fails says so before it ends', async () => {
  const { model } = await offering()
  const stream = await chatStream(model)
  for (const attempt of [1, 2, 3]) {
    const carol = await provider([{ ...OFFER, model }])
    const [lease] = (await poll(carol, { free: 1, waitSeconds: 10 })).leases
    expect(lease!.id.endsWith(`.${attempt}`)).toBe(true)
    const body = { from: 0, deltas: ['so far'] }
    if (attempt === 1) await send('PUT', `/v1/leases/${lease!.id}/output`, { token: carol.token, body })
    await poll(carol, { seen: lease!.seq, results: [failed(lease!.id, 'crashed')] })
  }
  const chunks = await chunksOf(stream)
  expect(contentOf(chunks.filter(({ choices }) => choices))).toBe('so far')
  expect(chunks.at(-1)).toEqual({
    error: {
      message: 'it failed: crashed Only what was delivered is charged (output tokens: 1).',
      type: 'server_error',
      code: 'crashed',
      param: null,
      delivered: { tokens: 1, characters: 6, price: '0.000001' },
    },
  })
})

test('who hangs up cancels the task', async () => {
  const { model, lease } = await offering()
  const before = await accountOf(alice)
  const stream = await chatStream(model)
  await lease()
  await stream.next()
  await stream.abort()
  const id = stream.headers.get('x-daicn-task')!
  const { body } = await send<TaskView>('GET', `/v1/tasks/${id}?waitSeconds=10`, alice)
  expect(body.status).toBe('cancelled')
  expect(await accountOf(alice)).toEqual(before)
})

test('a chat that does not stream is answered whole', async () => {
  const { model, bob, lease } = await offering()
  const answer = send<Record<string, unknown>>('POST', '/v1/chat/completions', {
    token: alice.token,
    body: { ...talk(model), max_tokens: undefined, max_completion_tokens: 30, user: 'me' },
  })
  const { id, seq, input, stream } = await lease()
  expect([stream, input]).toEqual([false, { messages: talk(model).messages, max_tokens: 30, user: 'me' }])
  await poll(bob, { seen: seq, results: [succeeded(id)] })
  const { status, body, headers } = await answer
  expect(status).toBe(200)
  expect(body).toEqual({
    id: `chatcmpl-${headers.get('x-daicn-task')}`,
    object: 'chat.completion',
    created: expect.any(Number),
    model,
    choices: [
      { index: 0, message: { role: 'assistant', content: 'hello there' }, finish_reason: 'stop', logprobs: null },
    ],
    usage: { prompt_tokens: 8, completion_tokens: 4, total_tokens: 12 },
  })
})

test('what else an output holds reaches the message', async () => {
  const { model, bob, lease } = await offering()
  const answer = send<{ choices: unknown[] }>('POST', '/v1/chat/completions', { token: alice.token, body: talk(model) })
  const { id, seq } = await lease()
  const tool_calls = [{ id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } }]
  const output = { content: null, finishReason: 'tool_calls', tool_calls }
  const usage = { inputTokens: 8, outputTokens: 4 }
  await poll(bob, { seen: seq, results: [{ lease: id, outcome: { status: 'succeeded', output, usage } }] })
  expect((await answer).body.choices).toMatchObject([
    { message: { role: 'assistant', content: null, tool_calls }, finish_reason: 'tool_calls' },
  ])
})

test('a cancelled chat is answered as an error', async () => {
  const { model, lease } = await offering()
  const answer = send('POST', '/v1/chat/completions', { token: alice.token, body: talk(model) })
  const { id } = await lease()
  await send('POST', `/v1/tasks/${id.slice(0, -2)}/cancel`, alice)
  expect((await answer).status).toBe(409)
  refusedAsOpenAi(await answer, 'invalid_request_error', 'task_cancelled', null)
})

test('embeddings are the same as numbers and in base64', async () => {
  const { model, bob, lease } = await offering('text.embed')
  const embeddings = [
    [0.5, -1, 0.25],
    [0.1, 0, 3e-7],
  ]
  const ask = async (encoding_format?: string) => {
    const body = { model, input: ['one', 'two'], ...(encoding_format && { encoding_format }) }
    const answer = send<{ data: { embedding: unknown }[] }>('POST', '/v1/embeddings', { token: alice.token, body })
    const { id, seq, input } = await lease()
    expect(input).toEqual({ texts: ['one', 'two'] })
    const outcome = { status: 'succeeded' as const, output: { embeddings }, usage: { inputTokens: 6, outputTokens: 0 } }
    await poll(bob, { seen: seq, results: [{ lease: id, outcome }] })
    return (await answer).body
  }
  const floats = await ask()
  expect(floats).toEqual({
    object: 'list',
    model,
    data: embeddings.map((embedding, index) => ({ object: 'embedding', index, embedding })),
    usage: { prompt_tokens: 6, total_tokens: 6 },
  })
  const { data } = await ask('base64')
  for (const [i, { embedding }] of data.entries()) {
    const bytes = Uint8Array.from(atob(embedding as string), (char) => char.charCodeAt(0))
    expect([...new Float32Array(bytes.buffer)]).toEqual(embeddings[i]!.map(Math.fround))
  }
})

test('one text is one embedding', async () => {
  const { model, bob, lease } = await offering('text.embed')
  const answer = send<{ data: unknown[] }>('POST', '/v1/embeddings', {
    token: alice.token,
    body: { model, input: 'one' },
  })
  const { id, seq } = await lease()
  const outcome = {
    status: 'succeeded' as const,
    output: { embeddings: [[1]] },
    usage: { inputTokens: 1, outputTokens: 0 },
  }
  await poll(bob, { seen: seq, results: [{ lease: id, outcome }] })
  expect((await answer).body.data).toEqual([{ object: 'embedding', index: 0, embedding: [1] }])
})
