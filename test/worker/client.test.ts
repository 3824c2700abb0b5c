/** The SDK inside workerd, against the Worker itself, and its types against what the routes are inferred to answer. */
import type { hc, InferResponseType } from 'hono/client'
import type { JSONParsed } from 'hono/utils/types'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { expect, expectTypeOf, test } from 'vitest'
import type { Session } from '#client/account.ts'
import { connect, type Daicn, signIn } from '#client/daicn.ts'
import type { Connection } from '#client/edge.ts'
import { DaicnError } from '#client/error.ts'
import type { Task } from '#client/task.ts'
import type { PollAnswer } from '#core/protocol/lease.ts'
import type { TaskView, WatchEvent } from '#core/protocol/task.ts'
import type { App } from '#worker/app.ts'
import {
  accountOf,
  CHAT,
  failed,
  ORIGIN,
  type Person,
  poll,
  provider,
  request,
  requester,
  succeeded,
} from '../support/network.ts'

const chat = {
  kind: 'llm.chat' as const,
  model: CHAT.model,
  input: { messages: [{ role: 'user' as const, content: 'hi' }] },
}

const direct = ((url: URL, init?: RequestInit) => request(url.pathname + url.search, init)) as typeof fetch
const open = (key: string, fetch = direct) => connect({ edge: ORIGIN, key, fetch })

/** Takes one lease, waiting for it. */
async function lease(who: Person): Promise<PollAnswer['leases'][number]> {
  const { leases } = await poll(who, { free: 1, waitSeconds: 20 })
  return leases[0]!
}

const finish = (who: Person, id: string, content?: string) => poll(who, { results: [succeeded(id, content)] })

async function refusal(work: Promise<unknown>): Promise<DaicnError> {
  const error = await work.then(
    () => undefined,
    (error: unknown) => error,
  )
  expect(error).toBeInstanceOf(DaicnError)
  return error as DaicnError
}

test('run gives the output of a task that succeeded', async () => {
  const who = await provider()
  const daicn = open((await requester()).token)
  const running = daicn.run(chat)
  await finish(who, (await lease(who)).id, 'good day')
  const task = await running
  expect(task).toMatchObject({ status: 'succeeded', output: { content: 'good day' } })
  expectTypeOf(task.output.content).toEqualTypeOf<string | null>()
})

test('run throws the task that failed, with the code of its end', async () => {
  const who = await provider()
  const daicn = open((await requester()).token)
  const running = refusal(daicn.run({ ...chat, maxAttempts: 1 }))
  await poll(who, { results: [failed((await lease(who)).id, 'out_of_memory')] })
  const error = await running
  expect(error).toMatchObject({ code: 'task_failed', task: { status: 'failed', error: { code: 'out_of_memory' } } })
  expect(error.message).toContain('out_of_memory')
})

test('aborting a run cancels its task and throws the reason of the signal', async () => {
  const who = await provider()
  const me = await requester()
  const stop = new AbortController()
  const running = open(me.token).run(chat, { signal: stop.signal })
  const { id } = await lease(who)
  stop.abort(new Error('enough'))
  await expect(running).rejects.toThrow('enough')
  expect(await open(me.token).task(taskOf(id))).toMatchObject({ status: 'cancelled' })
  expect(await accountOf(me)).toMatchObject({ held: '0', spent: '0' })
})

test('a signal that has aborted already submits nothing', async () => {
  const me = await requester()
  await expect(open(me.token).run(chat, { signal: AbortSignal.abort(new Error('late')) })).rejects.toThrow('late')
  expect(await accountOf(me)).toMatchObject({ held: '0', spent: '0' })
})

test('a quote tells what a task would cost, and that nobody can run it', async () => {
  await provider()
  const daicn = open((await requester()).token)
  const quote = await daicn.quote(chat)
  expect(quote.candidates).toBeGreaterThan(0)
  const { id, maxPrice } = await daicn.submit(chat)
  await daicn.cancel(id)
  expect(quote.price.ceiling).toBe(maxPrice)
  expect(await daicn.quote({ ...chat, model: 'nobody has this' })).toMatchObject({ candidates: 0 })
})

test('a refusal carries the stable code, what to do, the field and the id of the request', async () => {
  const daicn = open((await requester()).token)
  const error = await refusal(daicn.submit({ ...chat, model: 'no such model' }))
  expect(error).toMatchObject({ name: 'DaicnError', code: 'unknown_model', status: 404, pointer: '/model' })
  expect(error.hint).toMatch(/models/)
  expect(error.requestId).toMatch(/./)
  expect(JSON.parse(JSON.stringify(error))).toMatchObject({ code: 'unknown_model', pointer: '/model' })
})

test('a stream goes on where its connection broke off', async () => {
  const who = await provider()
  const me = await requester()
  const cursors: (string | null)[] = []
  // Each connection to the events is cut after the first output that it carries.
  const cutting = (async (url: URL, init?: RequestInit) => {
    const response = await direct(url, init)
    if (!url.pathname.endsWith('/events')) return response
    cursors.push(new Headers(init?.headers).get('last-event-id'))
    return new Response(response.body!.pipeThrough(cutAfter('event: output')), response)
  }) as typeof fetch
  const events: WatchEvent[] = []
  let id = ''
  const streaming = (async () => {
    for await (const event of open(me.token, cutting).stream(chat)) {
      events.push(event)
      if (event.type === 'output' && event.index < 2) await say(who, id, event.index + 1, ' and on')
      if (event.type === 'output' && event.index === 2) await finish(who, id, 'on and on and on')
    }
  })()
  id = (await lease(who)).id
  await say(who, id, 0, 'on')
  await streaming
  const text = events.flatMap((event) => (event.type === 'output' ? [event.delta] : [])).join('')
  expect(text).toBe('on and on and on')
  expect(cursors.slice(0, 3)).toEqual([null, '1.1', '1.2'])
  expect(events.at(-1)).toMatchObject({ type: 'done', task: { status: 'succeeded' } })
})

test('leaving the loop of a stream cancels its task', async () => {
  const who = await provider()
  const me = await requester()
  const leaving = (async () => {
    for await (const event of open(me.token).stream(chat)) if (event.type === 'output') break
  })()
  const { id } = await lease(who)
  await say(who, id, 0, 'one')
  await leaving
  expect(await open(me.token).task(taskOf(id))).toMatchObject({ status: 'cancelled' })
})

test('reads are tried again while the edge is away, and a submit tried again makes one task', async () => {
  await provider()
  const me = await requester()
  const away = new Set(['GET', 'POST'])
  let calls = 0
  // The first answer of each kind is lost on its way back, after the edge has done what was asked.
  const lossy = (async (url: URL, init: RequestInit) => {
    calls++
    const response = await direct(url, init)
    if (!away.delete(init.method!)) return response
    await response.body?.cancel()
    throw new TypeError('network connection lost')
  }) as typeof fetch
  const daicn = open(me.token, lossy)
  const { id } = await daicn.submit(chat)
  expect((await daicn.task(id)).id).toBe(id)
  expect(calls).toBe(4)
  const { held } = await accountOf(me)
  expect(held).toBe((await daicn.task(id)).maxPrice)
})

test('a call that cannot be repeated without harm is tried once', async () => {
  let calls = 0
  const down = (() => {
    calls++
    return Promise.reject(new TypeError('connection refused'))
  }) as unknown as typeof fetch
  const error = await refusal(open('dk_x', down).keys.create({ name: 'x' }))
  expect(error).toMatchObject({ code: 'unreachable', status: 0 })
  expect(calls).toBe(1)
})

test.each([
  ['a page of a proxy', () => new Response('<html>', { status: 502 }), 'unreachable'],
  ['a page of another program', () => new Response('<html>', { status: 200 }), 'not_understood'],
  ['a refusal of another program', () => new Response('{}', { status: 404 }), 'not_understood'],
])('%s is told apart from an answer of an edge', async (_, answer, code) => {
  const error = await refusal(open('dk_x', (async () => answer()) as typeof fetch).faucet())
  expect(error.code).toBe(code)
})

test('an edge that does not answer in time is given up', async () => {
  const silent = ((_: URL, { signal }: RequestInit) =>
    new Promise((_, reject) => signal!.addEventListener('abort', () => reject(signal!.reason)))) as typeof fetch
  const error = await refusal(connect({ edge: ORIGIN, fetch: silent, timeoutMs: 20 }).faucet())
  expect(error.code).toBe('timed_out')
})

test('a key of an Ethereum account signs in, makes an API key, and revokes it', async () => {
  const account = privateKeyToAccount(generatePrivateKey())
  const at: Connection = { edge: ORIGIN, fetch: direct }
  const owner = await signIn(at, account)
  const address = account.address.toLowerCase()
  expect(await owner.faucet()).toMatchObject({ address, free: '100' })
  const { key } = await owner.keys.create({ name: 'mine', scopes: ['account:read'] })
  expect(await open(key).account()).toMatchObject({ address, free: '100' })
  const other = await owner.keys.create({ name: 'other' })
  expect(await owner.keys.list()).toMatchObject([{ name: 'mine' }, { id: other.id, name: 'other' }])
  await owner.keys.revoke(other.id)
  expect(await owner.keys.list()).toHaveLength(1)
  expect((await refusal(open(other.key).account())).code).toBe('invalid_credentials')
})

/** Delivers output of a lease as an agent without sockets does. */
async function say({ token }: Person, id: string, from: number, delta: string): Promise<void> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const body = JSON.stringify({ from, deltas: [delta] })
  expect((await request(`/v1/leases/${id}/output`, { method: 'PUT', headers, body })).status).toBe(200)
}

const taskOf = (lease: string) => lease.slice(0, lease.lastIndexOf('.'))

/** Lets text through until what follows the marker has passed. */
function cutAfter(marker: string): TransformStream<Uint8Array, Uint8Array> {
  let text = ''
  return new TransformStream({
    transform(chunk, controller) {
      text += new TextDecoder().decode(chunk)
      controller.enqueue(chunk)
      if (text.includes('\n\n', Math.max(0, text.indexOf(marker)) || text.length)) controller.terminate()
    },
  })
}

/* Each answer of the SDK is what the route is inferred to answer. */
type Api = ReturnType<typeof hc<App>>['v1']
type Answer<Method extends (...args: never[]) => Promise<unknown>> = JSONParsed<Awaited<ReturnType<Method>>>

test('the types of the SDK are those of the app', () => {
  expectTypeOf<InferResponseType<Api['tasks'][':id']['$get']>>().toEqualTypeOf<TaskView>()
  expectTypeOf<Task>().toExtend<TaskView>()
  expectTypeOf<InferResponseType<Api['quote']['$post']>>().toExtend<Answer<Daicn['quote']>>()
  expectTypeOf<InferResponseType<Api['network']['$get']>>().toExtend<Answer<Daicn['network']>>()
  expectTypeOf<InferResponseType<Api['models']['$get']>['data']>().toExtend<Answer<Daicn['models']>>()
  expectTypeOf<InferResponseType<Api['account']['$get']>>().toExtend<Answer<Daicn['account']>>()
  expectTypeOf<InferResponseType<Api['keys']['$get']>['keys']>().toExtend<Answer<Daicn['keys']['list']>>()
  expectTypeOf<InferResponseType<Api['keys']['$post']>>().toExtend<Answer<Daicn['keys']['create']>>()
  expectTypeOf<InferResponseType<Api['sign-in']['$post']>>().toExtend<Session>()
})
