import { evictDurableObject } from 'cloudflare:test'
import { beforeAll, expect, test } from 'vitest'
import type { EdgeFrame, Lease } from '#core/protocol/lease.ts'
import type { SubmitTask, TaskView, WatchEvent } from '#core/protocol/task.ts'
import { roomOf } from '#core/task-id.ts'
import {
  bindings,
  CHAT,
  failed,
  OFFER,
  openEvents,
  openSocket,
  type Person,
  poll,
  provider,
  requester,
  type ServerEvent,
  send,
  submit,
  succeeded,
} from '../support/network.ts'

let alice: Person & { session: string }
let models = 0

beforeAll(async () => {
  alice = await requester()
})

type Next = { next: number }
type Streaming = { id: string; bob: Person; lease: Lease }

/** A streaming task that is leased to a provider of its own. */
async function streaming(wishes: Partial<SubmitTask> = {}): Promise<Streaming> {
  const model = `streamed-${models++}`
  const bob = await provider([{ ...OFFER, model }])
  const { id } = await submit(alice, { ...CHAT, ...wishes, model, stream: true })
  const [lease] = (await poll(bob, { free: 1 })).leases
  return { id, bob, lease: lease! }
}

const put = async ({ bob, lease }: Streaming, from: number, deltas: string[]) =>
  (await send<Next>('PUT', `/v1/leases/${lease.id}/output`, { token: bob.token, body: { from, deltas } })).body.next

const finish = ({ bob, lease }: Streaming, content: string) =>
  poll(bob, { seen: lease.seq, results: [succeeded(lease.id, content)] })

const watchBySocket = (id: string, after = '') =>
  openSocket<WatchEvent>(`/v1/tasks/${id}/socket${after && `?after=${after}`}`, alice)

const watchByEvents = (id: string, after?: string) =>
  openEvents<Record<string, unknown>>(`/v1/tasks/${id}/events`, { token: alice.token, ...(after && { after }) })

const asWatchEvent = ({ event, data }: ServerEvent<Record<string, unknown>>) => ({ type: event, ...data }) as WatchEvent

const indexOf = (event: WatchEvent) => (event.type === 'output' ? event.index : -1)

/** The text of the outputs, each of which must go on where the one before ended, the first at `offset`. */
function textOf(events: WatchEvent[], offset = 0): string {
  const outputs = events.filter((event) => event.type === 'output')
  let end = offset
  for (const output of outputs) {
    expect(output.offset).toBe(end)
    end += output.delta.length
  }
  const indexes = outputs.map(({ index }) => index)
  expect(indexes).toEqual([...new Set(indexes)].sort((x, y) => x - y))
  return outputs.map(({ delta }) => delta).join('')
}

function doneOf(events: WatchEvent[]): TaskView {
  const last = events.at(-1)!
  expect(events.filter(({ type }) => type === 'done')).toEqual([last])
  return (last as Extract<WatchEvent, { type: 'done' }>).task
}

test('a stream runs from the provider to its watchers as it comes, by socket and by events', async () => {
  const bob = await provider([{ ...OFFER, model: 'end-to-end' }])
  const agent = await openSocket<EdgeFrame>('/v1/provider/socket', bob)
  agent.send({ type: 'poll', free: 1 })
  expect(await agent.next()).toMatchObject({ type: 'answer', leases: [] })
  const { id } = await submit(alice, { ...CHAT, model: 'end-to-end', stream: true })
  const pushed = (await agent.next()) as Extract<EdgeFrame, { type: 'answer' }>
  const lease = pushed.leases[0]!
  expect(lease).toMatchObject({ id: `${id}.1`, stream: true })

  const [socket, events] = [await watchBySocket(id), await watchByEvents(id)]
  expect(await socket.next()).toMatchObject({ type: 'status', status: 'leased', attempt: 1, provider: bob.address })
  expect(asWatchEvent(await events.next())).toMatchObject({ type: 'status', status: 'leased' })

  const output = await openSocket<Next>(`/v1/leases/${lease.id}/output`, bob)
  expect(await output.next()).toEqual({ next: 0 })
  for (const [from, delta] of ['hel', 'lo ', 'there'].entries()) {
    const offset = from * 3
    output.send({ from, deltas: [delta] })
    expect(await socket.next()).toEqual({ type: 'output', attempt: 1, index: from, offset, delta })
    expect(await events.next()).toEqual({
      event: 'output',
      id: `1.${from + 1}`,
      data: { attempt: 1, index: from, offset, delta },
    })
  }
  agent.send({ type: 'poll', free: 0, seen: lease.seq, renew: [lease.id] })
  await agent.next()
  expect(await socket.next()).toMatchObject({ type: 'status', status: 'running' })
  agent.send({ type: 'poll', free: 0, seen: lease.seq, results: [succeeded(lease.id)] })
  expect(await agent.next()).toMatchObject({ results: [{ accepted: true }] })

  const rest = await socket.rest()
  expect(rest).toHaveLength(1)
  expect(doneOf(rest)).toMatchObject({ id, status: 'succeeded', output: { content: 'hello there' } })
  expect(doneOf((await events.rest()).map(asWatchEvent)).status).toBe('succeeded')
  expect(await output.rest()).toEqual([])
  agent.close()
})

test("the first of the output may come by the provider's socket, once, and only from who holds the lease", async () => {
  const task = await streaming()
  const watcher = await watchBySocket(task.id)
  await watcher.next()
  const first = { type: 'output', lease: task.lease.id, from: 0 }
  const stranger = await openSocket<EdgeFrame>('/v1/provider/socket', await provider([{ ...OFFER, model: 'strange' }]))
  stranger.send({ ...first, deltas: ['no'] })
  const own = await openSocket<EdgeFrame>('/v1/provider/socket', task.bob)
  own.send({ ...first, deltas: ['hel'] })
  expect(await watcher.next()).toMatchObject({ type: 'output', index: 0, delta: 'hel' })
  own.send({ ...first, lease: `${task.id}.2`, deltas: ['no'] })
  expect(await put(task, 0, ['hel', 'lo'])).toBe(2)
  await finish(task, 'hello')
  expect(textOf(await watcher.rest(), 3)).toBe('lo')
  for (const socket of [stranger, own]) socket.close()
})

test('deltas come once and in order, however they are repeated, overlap or leave gaps', async () => {
  const task = await streaming()
  const socket = await watchBySocket(task.id)
  const output = await openSocket<Next>(`/v1/leases/${task.lease.id}/output`, task.bob)
  await output.next()
  output.send({ from: 0, deltas: ['a', 'b'] })
  output.send({ from: 0, deltas: ['a', 'b'] })
  output.send({ from: 1, deltas: ['b', 'c'] })
  output.send('next')
  expect(await output.next()).toEqual({ next: 3 })
  output.send({ from: 7, deltas: ['z'] })
  expect(await output.next()).toEqual({ next: 3 })
  expect(await put(task, 2, ['c', 'd', 'e'])).toBe(5)
  expect(await put(task, 0, ['a'])).toBe(5)
  await finish(task, 'abcde')
  const events = await socket.rest()
  expect(textOf(events)).toBe('abcde')
  expect(doneOf(events).status).toBe('succeeded')
})

test('who resumes gets exactly the rest', async () => {
  const task = await streaming()
  await put(task, 0, ['a', 'b', 'c'])
  const cursors = ['1.0', '1.1', '1.2', '1.3']
  const watchers = await Promise.all(
    cursors.flatMap((after) => [watchByEvents(task.id, after), watchBySocket(task.id, after)]),
  )
  await put(task, 3, ['d', 'e'])
  await finish(task, 'abcde')
  for (const [i, watcher] of watchers.entries()) {
    const first = Math.floor(i / 2)
    const events = (await watcher.rest()).map((event) => ('type' in event ? event : asWatchEvent(event)))
    expect(textOf(events, first)).toBe('abcde'.slice(first))
    expect(doneOf(events).status).toBe('succeeded')
  }
})

test.each(['', 'x', '-1.-2', '0', '1', '1.x', '1.-2', '1e400.1', 'NaN.NaN', '.'])(
  'the cursor "%s" is the beginning',
  async (after) => {
    const task = await streaming()
    await put(task, 0, ['a', 'b', 'c'])
    const socket = await watchBySocket(task.id, encodeURIComponent(after))
    await finish(task, 'abc')
    expect(textOf(await socket.rest())).toBe('abc')
  },
)

test('who comes after the end is told the end', async () => {
  const task = await streaming()
  await put(task, 0, ['hello'])
  await finish(task, 'hello')
  for (const evicted of [false, true]) {
    if (evicted) await evictDurableObject(bindings.TASK_ROOM.getByName(roomOf(task.id)))
    for (const after of ['', '1.1']) {
      const events = await (await watchBySocket(task.id, after)).rest()
      expect(doneOf(events)).toMatchObject({ status: 'succeeded', output: { content: 'hello' } })
      expect(doneOf((await (await watchByEvents(task.id, after)).rest()).map(asWatchEvent)).status).toBe('succeeded')
    }
  }
})

test('a task that does not stream can be watched to its end', async () => {
  const bob = await provider([{ ...OFFER, model: 'silent' }])
  const { id } = await submit(alice, { ...CHAT, model: 'silent' })
  const socket = await watchBySocket(id)
  expect(await socket.next()).toMatchObject({ type: 'status', status: 'queued' })
  const [lease] = (await poll(bob, { free: 1 })).leases
  expect(await socket.next()).toMatchObject({ type: 'status', status: 'leased', provider: bob.address })
  await poll(bob, { seen: lease!.seq, results: [succeeded(lease!.id)] })
  expect(doneOf(await socket.rest())).toMatchObject({ status: 'succeeded' })
})

test('a socket that says nothing has a window of outputs on its way, and the rest in one when it asks, or at the end', async () => {
  const task = await streaming()
  const sockets = [await watchBySocket(task.id), await watchBySocket(task.id)] as const
  const output = await openSocket<Next>(`/v1/leases/${task.lease.id}/output`, task.bob)
  await output.next()
  const words = Array.from({ length: 2_600 }, (_, i) => `${i} `)
  for (const [from, word] of words.entries()) output.send({ from, deltas: [word] })
  output.send('next')
  expect(await output.next()).toEqual({ next: words.length })
  const heard: WatchEvent[][] = [[], []]
  for (const [i, socket] of sockets.entries()) {
    do heard[i]!.push(await socket.next())
    while (indexOf(heard[i]!.at(-1)!) < 1_023)
  }
  sockets[0].send('more')
  heard[0]!.push(await sockets[0].next())
  expect(textOf(heard[0]!)).toBe(words.join(''))
  await finish(task, words.join(''))
  expect((await sockets[0].rest()).map(({ type }) => type)).toEqual(['done'])
  const [rest, done, ...others] = await sockets[1].rest()
  expect(textOf([...heard[1]!, rest!])).toBe(words.join(''))
  expect([done!.type, others]).toEqual(['done', []])
})

test('many watchers are told what came together in one output, and who resumes from it gets the rest', async () => {
  const task = await streaming()
  const watchers = await Promise.all(Array.from({ length: 100 }, () => watchBySocket(task.id)))
  const output = await openSocket<Next>(`/v1/leases/${task.lease.id}/output`, task.bob)
  await output.next()
  const words = Array.from({ length: 200 }, (_, i) => `${i} `)
  for (const [from, word] of words.entries()) output.send({ from, deltas: [word] })
  const first: WatchEvent[] = []
  do first.push(await watchers[0]!.next())
  while (indexOf(first.at(-1)!) < words.length - 1)
  expect(first.length).toBeLessThan(words.length)
  const { index, offset, delta } = first.find((event) => event.type === 'output')!
  const resumed = await watchBySocket(task.id, `1.${index + 1}`)
  await finish(task, words.join(''))
  const texts = await Promise.all(watchers.slice(1).map(async (watcher) => textOf(await watcher.rest())))
  expect(new Set([textOf(first), ...texts])).toEqual(new Set([words.join('')]))
  const told = offset + delta.length
  expect(textOf(await resumed.rest(), told)).toBe(words.join('').slice(told))
})

test('a result that overtakes the last of the output still tells the whole text', async () => {
  const task = await streaming()
  const [socket, events] = [await watchBySocket(task.id), await watchByEvents(task.id)]
  await put(task, 0, ['hel', 'lo'])
  await finish(task, 'hello there')
  expect(textOf(await socket.rest())).toBe('hello there')
  expect(textOf((await events.rest()).map(asWatchEvent))).toBe('hello there')
})

test('a task that fails, is cancelled or expires ends its stream', async () => {
  const poison = await streaming({ maxAttempts: 1 })
  const cancelled = await streaming()
  const expired = await streaming({ deadlineSeconds: 1 })
  const watchers = await Promise.all([poison, cancelled, expired].map(({ id }) => watchBySocket(id)))
  await put(poison, 0, ['so far'])
  await poll(poison.bob, { seen: poison.lease.seq, results: [failed(poison.lease.id, 'crashed')] })
  await send('POST', `/v1/tasks/${cancelled.id}/cancel`, alice)
  const [first, second, third] = await Promise.all(watchers.map((watcher) => watcher.rest()))
  expect(textOf(first!)).toBe('so far')
  expect(doneOf(first!)).toMatchObject({ status: 'failed', error: { code: 'crashed' } })
  expect(doneOf(second!)).toMatchObject({ status: 'cancelled', price: '0' })
  expect(doneOf(third!)).toMatchObject({ status: 'expired', error: { code: 'task_expired' } })
})

test('a room that is evicted in mid-stream asks for the output again, and watchers hear it once', async () => {
  const task = await streaming()
  const [socket, events] = [await watchBySocket(task.id), await watchByEvents(task.id)]
  const output = await openSocket<Next>(`/v1/leases/${task.lease.id}/output`, task.bob)
  await output.next()
  output.send({ from: 0, deltas: ['a', 'b', 'c'] })
  output.send('next')
  expect(await output.next()).toEqual({ next: 3 })

  await evictDurableObject(bindings.TASK_ROOM.getByName(roomOf(task.id)))

  output.send({ from: 3, deltas: ['d'] })
  expect(await output.next()).toEqual({ next: 0 })
  const resumed = await watchBySocket(task.id, '1.2')
  output.send({ from: 0, deltas: ['a', 'b', 'c', 'd'] })
  output.send('next')
  expect(await output.next()).toEqual({ next: 4 })
  await finish(task, 'abcde')
  expect(textOf(await socket.rest())).toBe('abcde')
  expect(textOf((await events.rest()).map(asWatchEvent))).toBe('abcde')
  expect(textOf(await resumed.rest(), 2)).toBe('cde')
})

test('a room that is evicted just before the result tells only what its watchers did not hear', async () => {
  const task = await streaming()
  const socket = await watchBySocket(task.id)
  await put(task, 0, ['a', 'bc'])
  await evictDurableObject(bindings.TASK_ROOM.getByName(roomOf(task.id)))
  const late = await watchBySocket(task.id)
  await finish(task, 'abcde')
  expect(textOf(await socket.rest())).toBe('abcde')
  expect(textOf(await late.rest())).toBe('abcde')
})
