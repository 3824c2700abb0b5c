import { evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeAll, expect, test } from 'vitest'
import { parseAmount } from '#core/money.ts'
import type { Lease } from '#core/protocol/lease.ts'
import type { TaskView, WatchEvent } from '#core/protocol/task.ts'
import { roomOf } from '#core/task-id.ts'
import type { Env } from '#worker/env.ts'
import {
  accountOf,
  books,
  failed,
  OFFER,
  openEvents,
  openSocket,
  type Person,
  poll,
  provider,
  read,
  requester,
  send,
  succeeded,
} from '../support/network.ts'

const { TASK_ROOM } = env as unknown as Env
let alice: Person & { session: string }
let models = 0

beforeAll(async () => {
  alice = await requester()
})

type Call = { index: number; id?: string; type?: string; function: { name?: string; arguments?: string } }
type Chunk = {
  choices?: {
    delta: { role?: string; content?: string; tool_calls?: Call[] }
    logprobs?: unknown
    finish_reason: string | null
  }[]
  usage?: Record<string, number>
  error?: { code: string; delivered: { tokens: number; characters: number; price: string } }
}

/** A chat stream of a model that only these providers, with an ask each, have. */
async function streamed(asks: string[]) {
  const model = `continued-${models++}`
  const providers = await Promise.all(asks.map((ask) => provider([{ ...OFFER, model, ask }])))
  const stream = await openEvents<Chunk>('/v1/chat/completions', {
    token: alice.token,
    body: {
      model,
      messages: [{ role: 'user', content: 'hello' }],
      max_tokens: 20,
      stream: true,
      stream_options: { include_usage: true },
    },
  })
  return { id: stream.headers.get('x-daicn-task')!, stream, providers }
}

const nextLease = async (who: Person, seen = 0): Promise<Lease> =>
  (await poll(who, { free: 1, seen, waitSeconds: 10 })).leases[0]!

const put = (who: Person, lease: Lease, from: number, deltas: string[], tokens?: number[]) =>
  send<{ next: number }>('PUT', `/v1/leases/${lease.id}/output`, {
    token: who.token,
    body: { from, deltas, ...(tokens && { tokens }) },
  })

const contentOf = (chunks: Chunk[]) => chunks.map(({ choices }) => choices?.[0]?.delta.content ?? '').join('')

async function chunksOf({ stream }: Awaited<ReturnType<typeof streamed>>): Promise<Chunk[]> {
  const events = await stream.rest()
  expect(events.at(-1)).toEqual({ data: '[DONE]' })
  return events.slice(0, -1).map(({ data }) => data)
}

const spentOf = async (who: { token: string }) => parseAmount((await accountOf(who)).spent)

test('another provider goes on where the first one stopped, and each is paid for its own tokens', async () => {
  const before = await spentOf(alice)
  const chat = await streamed(['0.000001', '0.000003'])
  const [bob, carol] = chat.providers as [Person, Person]
  const first = await nextLease(bob)
  expect(first.prefix).toBe(undefined)
  await put(bob, first, 0, ['hel', 'lo '], [2, 1])
  await poll(bob, { seen: first.seq, results: [failed(first.id)] })

  const second = await nextLease(carol)
  expect(second).toMatchObject({ id: `${chat.id}.2`, maxUnits: first.maxUnits, prefix: { text: 'hello ', tokens: 3 } })
  expect((await put(bob, first, 2, ['too late'])).status).toBe(404)
  await put(carol, second, 0, ['the'])
  await poll(carol, { seen: second.seq, results: [succeeded(second.id, 'there', 4)] })

  const chunks = await chunksOf(chat)
  expect(contentOf(chunks)).toBe('hello there')
  expect(chunks.at(-1)!.usage).toEqual({ prompt_tokens: 8, completion_tokens: 7, total_tokens: 15 })
  const task = await read(alice, chat.id)
  expect(task).toMatchObject({ status: 'succeeded', units: 9, price: '0.000021', output: { content: 'hello there' } })
  expect(task.attempts).toMatchObject([
    { provider: bob.address, state: 'failed', units: 3, price: '0.000003' },
    { provider: carol.address, state: 'succeeded', units: 6, price: '0.000018' },
  ])
  await expect.poll(async () => (await spentOf(alice)) - before, { timeout: 10_000 }).toBe(parseAmount('0.000021'))
  await expect.poll(async () => (await accountOf(bob)).earned !== '0', { timeout: 10_000 }).toBe(true)
  const { drawn, restored, held, available, captured, earned, fees } = await books()
  const sum = (...amounts: string[]) => amounts.reduce((total, amount) => total + parseAmount(amount), 0n)
  expect(sum(restored, held, available, captured)).toBe(parseAmount(drawn))
  expect(sum(earned, fees)).toBe(parseAmount(captured))
})

/** A piece of a tool call; the first names it. */
const piece = (text: string, id?: string) => ({
  index: 0,
  tool_calls: [{ index: 0, ...(id && { id, type: 'function' }), function: id ? { name: text } : { arguments: text } }],
})
const putBeside = (who: Person, lease: Lease, from: number, beside: object[], deltas = beside.map(() => '')) =>
  send('PUT', `/v1/leases/${lease.id}/output`, { token: who.token, body: { from, deltas, beside } })
const callsOf = (chunks: Chunk[]) => chunks.flatMap(({ choices }) => choices?.[0]?.delta.tool_calls ?? [])
const callOutcome = (id: string, name: string, args: string) => {
  const tool_calls = [{ id: name, type: 'function', function: { name: 'weigh', arguments: args } }]
  const output = { content: null, finishReason: 'tool_calls', tool_calls }
  return { lease: id, outcome: { status: 'succeeded' as const, output, usage: { inputTokens: 8, outputTokens: 2 } } }
}

test('a tool call is told as it is written, goes on with another provider, and each is paid for its own tokens', async () => {
  const chat = await streamed(['0.000001', '0.000003'])
  const [bob, carol] = chat.providers as [Person, Person]
  const first = await nextLease(bob)
  await putBeside(bob, first, 0, [piece('weigh', 'call_1'), piece('{"grams"')])
  const begun = [(await chat.stream.next()).data, (await chat.stream.next()).data, (await chat.stream.next()).data]
  expect(callsOf(begun)).toEqual([
    { index: 0, id: 'call_1', type: 'function', function: { name: 'weigh', arguments: '' } },
    { index: 0, function: { arguments: '{"grams"' } },
  ])
  await poll(bob, { seen: first.seq, results: [failed(first.id)] })

  const second = await nextLease(carol)
  const beside = {
    '0.tool_calls.0.id': 'call_1',
    '0.tool_calls.0.name': 'weigh',
    '0.tool_calls.0.arguments': '{"grams"',
  }
  expect(second.prefix).toEqual({ text: '', tokens: 2, beside })
  await putBeside(carol, second, 0, [piece(':7')])
  await poll(carol, { seen: second.seq, results: [callOutcome(second.id, 'call_1', '{"grams":7}')] })
  const rest = await chunksOf(chat)
  // What the result has beyond what was streamed comes at the end.
  expect(callsOf(rest).map((call) => call.function.arguments)).toEqual([':7', '}'])
  expect(rest.at(-2)!.choices![0]).toMatchObject({ delta: {}, finish_reason: 'tool_calls' })
  expect(rest.at(-1)!.usage).toMatchObject({ completion_tokens: 4 })
  expect((await read(alice, chat.id)).attempts).toMatchObject([
    { provider: bob.address, state: 'failed', units: 2, price: '0.000002' },
    { provider: carol.address, state: 'succeeded', units: 4, price: '0.000012' },
  ])
})

test('a tool call that nobody goes on with ends with how much was delivered, and only that is charged', async () => {
  const chat = await streamed(['0.000001', '0.000002', '0.000004'])
  for (const [i, who] of chat.providers.entries()) {
    const lease = await nextLease(who)
    if (i === 0) await putBeside(who, lease, 0, [piece('weigh', 'call_1'), piece('{"gr')])
    await poll(who, { seen: lease.seq, results: [failed(lease.id, 'cannot_continue')] })
  }
  const chunks = await chunksOf(chat)
  expect(callsOf(chunks)).toHaveLength(2)
  const delivered = { tokens: 2, characters: 15, price: '0.000002' }
  expect(chunks.at(-1)).toMatchObject({ error: { code: 'cannot_continue', delivered } })
})

test('a result that is not what was streamed is told as that', async () => {
  const chat = await streamed(['0.000001'])
  const [bob] = chat.providers as [Person]
  const lease = await nextLease(bob)
  await putBeside(bob, lease, 0, [piece('weigh', 'call_1'), piece('{"grams":7}')])
  await poll(bob, { seen: lease.seq, results: [callOutcome(lease.id, 'call_1', '{"grams":8}')] })
  expect((await chunksOf(chat)).at(-1)).toMatchObject({ error: { code: 'stream_contradicted' } })
})

test('further choices and log probabilities are told as they are written, and once', async () => {
  const chat = await streamed(['0.000001'])
  const [bob] = chat.providers as [Person]
  const lease = await nextLease(bob)
  const logprobs = (token: string) => ({ content: [{ token, logprob: -0.5 }] })
  await putBeside(
    bob,
    lease,
    0,
    [
      { index: 0, logprobs: logprobs('a') },
      { index: 1, content: 'b', logprobs: logprobs('b') },
    ],
    ['a', ''],
  )
  const [, first, other] = [
    (await chat.stream.next()).data,
    (await chat.stream.next()).data,
    (await chat.stream.next()).data,
  ]
  expect(first!.choices).toEqual([{ index: 0, delta: { content: 'a' }, logprobs: logprobs('a'), finish_reason: null }])
  const delta = { role: 'assistant', content: 'b' }
  expect(other!.choices).toEqual([{ index: 1, delta, logprobs: logprobs('b'), finish_reason: null }])
  const choice = (content: string) => ({ content, finishReason: 'stop', logprobs: logprobs(content) })
  const outcome = {
    status: 'succeeded' as const,
    output: { ...choice('a'), alternatives: [choice('b')] },
    usage: { inputTokens: 8, outputTokens: 2 },
  }
  await poll(bob, { seen: lease.seq, results: [{ lease: lease.id, outcome }] })
  const rest = await chunksOf(chat)
  expect(rest.flatMap(({ choices }) => choices ?? [])).toEqual([
    { index: 0, delta: {}, finish_reason: 'stop' },
    { index: 1, delta: {}, finish_reason: 'stop' },
  ])
})

test('what an attempt sends after the cut reaches nobody, and its socket is closed', async () => {
  const chat = await streamed(['0.000001', '0.000002'])
  const [bob, carol] = chat.providers as [Person, Person]
  const first = await nextLease(bob)
  const output = await openSocket<{ next: number }>(`/v1/leases/${first.id}/output`, bob)
  output.send({ from: 0, deltas: ['one '] })
  output.send('next')
  expect([await output.next(), await output.next()]).toEqual([{ next: 0 }, { next: 1 }])
  // The lease is in neither list: dropped.
  await poll(bob, { seen: first.seq })
  const second = await nextLease(carol)
  expect(second.prefix).toEqual({ text: 'one ', tokens: 1 })
  expect(await output.rest()).toEqual([])
  await runInDurableObject(TASK_ROOM.getByName(roomOf(chat.id)), (room) =>
    expect(room.append(chat.id, 1, { offset: 0, besideOffset: 0 }, { from: 1, deltas: ['stale'] })).toEqual({
      next: 1,
    }),
  )
  await poll(carol, { seen: second.seq, results: [succeeded(second.id, 'two')] })
  expect(contentOf(await chunksOf(chat))).toBe('one two')
})

test('who watches from the start, from a cursor before the seam or after it, hears the same text', async () => {
  const chat = await streamed(['0.000001', '0.000002'])
  const [bob, carol] = chat.providers as [Person, Person]
  const first = await nextLease(bob)
  await put(bob, first, 0, ['a', 'b'])
  await poll(bob, { seen: first.seq, results: [{ lease: first.id, outcome: { status: 'returned' } }] })
  const second = await nextLease(carol)
  await put(carol, second, 0, ['c', 'd'])
  const watch = (after: string) => openSocket<WatchEvent>(`/v1/tasks/${chat.id}/socket?after=${after}`, alice)
  const watchers = await Promise.all(['', '1.1', '2.0', '2.1'].map(watch))
  await poll(carol, { seen: second.seq, results: [succeeded(second.id, 'cde')] })
  for (const [i, text] of ['abcde', 'bcde', 'cde', 'de'].entries()) {
    const outputs = (await watchers[i]!.rest()).filter((event) => event.type === 'output')
    expect(outputs.map(({ delta }) => delta).join('')).toBe(text)
    for (const { offset, delta } of outputs) expect('abcde'.slice(offset, offset + delta.length)).toBe(delta)
  }
})

test('a stream that nobody can go on with ends with how much was delivered, and only that is charged', async () => {
  const before = await spentOf(alice)
  const chat = await streamed(['0.000001', '0.000002', '0.000004'])
  for (const [i, who] of chat.providers.entries()) {
    const lease = await nextLease(who)
    await put(who, lease, 0, [`part ${i} `])
    await poll(who, { seen: lease.seq, results: [failed(lease.id, 'crashed')] })
  }
  const chunks = await chunksOf(chat)
  expect(contentOf(chunks)).toBe('part 0 part 1 part 2 ')
  const delivered = { tokens: 3, characters: 21, price: '0.000007' }
  expect(chunks.at(-1)).toMatchObject({ error: { code: 'crashed', delivered } })
  expect(await read(alice, chat.id)).toMatchObject({ status: 'failed', price: '0.000007', units: 3 })
  await expect.poll(async () => (await spentOf(alice)) - before, { timeout: 10_000 }).toBe(parseAmount('0.000007'))
})

test('a client that goes away pays for what it was sent, and its provider is told to stop', async () => {
  const chat = await streamed(['0.000001'])
  const [bob] = chat.providers as [Person]
  const lease = await nextLease(bob)
  await put(bob, lease, 0, ['so', ' far'])
  for (let text = ''; text !== 'so far'; ) text += contentOf([(await chat.stream.next()).data])
  const told = poll(bob, { free: 0, seen: lease.seq, renew: [lease.id], waitSeconds: 10 })
  await chat.stream.abort()
  expect((await told).revoked).toContain(lease.id)
  await expect.poll(async () => (await read(alice, chat.id)).status).toBe('cancelled')
  expect(await read(alice, chat.id)).toMatchObject({ price: '0.000002', units: 2 })
})

test('no more tokens are paid than the delivered text can have, whatever an agent counts', async () => {
  const chat = await streamed(['0.000001'])
  const [bob] = chat.providers as [Person]
  const lease = await nextLease(bob)
  await put(bob, lease, 0, ['abc'], [1000])
  const { body } = await send<TaskView>('POST', `/v1/tasks/${chat.id}/cancel`, alice)
  expect(body).toMatchObject({ status: 'cancelled', units: 3, price: '0.000003' })
})

test('a stream goes on when its room is lost and comes back', async () => {
  const chat = await streamed(['0.000001'])
  const [bob] = chat.providers as [Person]
  const lease = await nextLease(bob)
  await put(bob, lease, 0, ['a', 'b'])
  for (let text = ''; text !== 'ab'; ) text += contentOf([(await chat.stream.next()).data])
  const room = TASK_ROOM.getByName(roomOf(chat.id))
  await runInDurableObject(room, (_, state) => state.abort('restarted by the test')).catch(() => {})
  await put(bob, lease, 0, ['a', 'b', 'c'])
  for (let text = ''; text !== 'c'; ) text += contentOf([(await chat.stream.next()).data])
  await poll(bob, { seen: lease.seq, results: [succeeded(lease.id, 'abcd')] })
  expect(contentOf(await chunksOf(chat))).toBe('d')
})

test('a room that lost what was delivered lets the next attempt begin anew, and the client hears it once', async () => {
  const chat = await streamed(['0.000001', '0.000002'])
  const [bob, carol] = chat.providers as [Person, Person]
  const first = await nextLease(bob)
  await put(bob, first, 0, ['a', 'b'])
  for (let text = ''; text !== 'ab'; ) text += contentOf([(await chat.stream.next()).data])
  await evictDurableObject(TASK_ROOM.getByName(roomOf(chat.id)))
  await poll(bob, { seen: first.seq, results: [failed(first.id)] })
  const second = await nextLease(carol)
  expect(second.prefix).toBe(undefined)
  await put(carol, second, 0, ['abc'])
  await poll(carol, { seen: second.seq, results: [succeeded(second.id, 'abcd')] })
  expect(contentOf(await chunksOf(chat))).toBe('cd')
})

test('a watcher that reads slowly is sent a window of outputs, and what came meanwhile at once when it asks, or at the end', async () => {
  const chat = await streamed(['0.000001'])
  const [bob] = chat.providers as [Person]
  const lease = await nextLease(bob)
  const { webSocket } = await TASK_ROOM.getByName(roomOf(chat.id)).fetch(`https://room/?task=${chat.id}&window=3`, {
    headers: { upgrade: 'websocket' },
  })
  const heard: string[] = []
  const ended = new Promise((resolve) => webSocket!.addEventListener('close', resolve))
  webSocket!.addEventListener('message', ({ data }) => {
    const event = JSON.parse(data as string) as WatchEvent
    if (event.type === 'output') heard.push(event.delta)
  })
  webSocket!.accept()
  const say = async (letters: string, from: number) => {
    for (const [i, letter] of [...letters].entries()) await put(bob, lease, from + i, [letter])
  }
  await say('abcde', 0)
  await expect.poll(() => heard.length).toBe(3)
  webSocket!.send('more')
  await expect.poll(() => heard.length).toBe(4)
  await say('fghij', 5)
  await poll(bob, { seen: lease.seq, results: [succeeded(lease.id, 'abcdefghijk')] })
  await ended
  expect(heard).toEqual(['a', 'b', 'c', 'de', 'f', 'g', 'hij', 'k'])
})

test('a client that stops reading for a while misses nothing of a long stream', async () => {
  const chat = await streamed(['0.000001'])
  const [bob] = chat.providers as [Person]
  const lease = await nextLease(bob)
  const words = Array.from({ length: 3000 }, (_, i) => `${i} `)
  for (let from = 0; from < words.length; from += 1000) await put(bob, lease, from, words.slice(from, from + 1000))
  await poll(bob, { seen: lease.seq, results: [succeeded(lease.id, words.join(''), 16)] })
  expect(contentOf(await chunksOf(chat))).toBe(words.join(''))
})
