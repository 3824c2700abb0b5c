/** Callers of the Worker under test, inside workerd: people who signed in, requesters with keys, providers that poll. */
import { createExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { expect } from 'vitest'
import type { ErrorCode } from '#core/errors.ts'
import type { AccountView } from '#core/protocol/account.ts'
import type { Poll, PollAnswer } from '#core/protocol/lease.ts'
import type { BooksView, NetworkSnapshot } from '#core/protocol/network.ts'
import type { Offer } from '#core/protocol/provider.ts'
import type { SubmitTask, TaskView } from '#core/protocol/task.ts'
import type { Address } from '#core/protocol/values.ts'
import { signInTypedData } from '#core/sign-in.ts'
import type { Env } from '#worker/env.ts'
import worker from '#worker/index.ts'
import { checkAnswer, checkFrame } from './contract.ts'

export const bindings = env as unknown as Env
export const market = () => bindings.MARKET.getByName('c1')

export const ORIGIN = 'https://edge.test'
const CHAIN_ID = 31337

/**
 * One call of the Worker, as the platform makes it; the tests of real processes reach it over real connections. Its answer is
 * held against the API's document.
 */
export async function request(path: string, init?: RequestInit): Promise<Response> {
  const incoming = new Request(ORIGIN + path, init) as Parameters<typeof worker.fetch>[0]
  const answer = worker.fetch(incoming, bindings, createExecutionContext())
  const response = await (init?.signal ? Promise.race([answer, aborted(init.signal)]) : answer)
  return checkAnswer(init?.method ?? 'GET', path, response)
}

/** A caller that goes away waits no longer, whether or not the Worker takes notice. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
}

export type Reply<T> = { status: number; body: T; headers: Headers }
export type Problem = { code: string; pointer?: string; hint?: string; status: number; detail?: string }

export async function send<T = unknown>(
  method: string,
  path: string,
  {
    token,
    body,
    raw,
    headers,
  }: { token?: string; body?: unknown; raw?: BodyInit; headers?: Record<string, string> } = {},
): Promise<Reply<T>> {
  const response = await request(path, {
    method,
    headers: {
      ...(token && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(raw !== undefined && { body: raw }),
  })
  const text = await response.text()
  const json = response.headers.get('content-type')?.includes('json') && text !== ''
  return { status: response.status, body: (json ? JSON.parse(text) : text) as T, headers: response.headers }
}

/** Asserts that a call was refused as problem details, with this code and the pointer to this field. */
export function refused({ status, body, headers }: Reply<unknown>, code: ErrorCode, pointer?: string): void {
  expect(body).toMatchObject({
    type: `urn:daicn:error:${code}`,
    status,
    code,
    title: expect.stringMatching(/./),
    hint: expect.stringMatching(/./),
    requestId: expect.stringMatching(/./),
  })
  expect((body as Problem).pointer).toBe(pointer)
  expect(headers.get('content-type')).toBe('application/problem+json')
}

/** Asserts that a call was refused with this status too, and a 401 by the challenge that belongs to it. */
export function denied(reply: Reply<unknown>, status: number, code: ErrorCode, pointer?: string): void {
  refused(reply, code, pointer)
  expect(reply.status).toBe(status)
  if (status === 401) expect(reply.headers.get('www-authenticate')).toBe('Bearer')
}

/** Asserts that a call of an OpenAI route was refused in OpenAI's shape. */
export function refusedAsOpenAi({ body, headers }: Reply<unknown>, type: string, code: string, param: string | null) {
  expect(body).toEqual({ error: { message: expect.stringMatching(/./), type, code, param } })
  expect(headers.get('content-type')).toBe('application/json')
}

export type Person = { address: Address; token: string }

export async function signIn(account = privateKeyToAccount(generatePrivateKey()), issuedAt = Date.now()) {
  const message = { address: account.address.toLowerCase() as Address, audience: ORIGIN, issuedAt }
  const signature = await account.signTypedData(signInTypedData(CHAIN_ID, message))
  return send<{ token: string } & Problem>('POST', '/v1/sign-in', { body: { ...message, signature } })
}

export async function person(): Promise<Person> {
  const account = privateKeyToAccount(generatePrivateKey())
  const { body } = await signIn(account)
  return { address: account.address.toLowerCase() as Address, token: body.token }
}

/** A requester with 100 tokens and an API key. */
export async function requester(): Promise<Person & { session: string }> {
  const { address, token: session } = await person()
  await send('POST', '/v1/account/faucet', { token: session })
  const { body } = await send<{ key: string }>('POST', '/v1/keys', { token: session, body: { name: 'test' } })
  return { address, token: body.key, session }
}

export const OFFER: Offer = { kind: 'llm.chat', model: 'echo', ask: '0.000001', speed: 100 }

/** A registered provider. */
export async function provider(offers: Offer[] = [OFFER], slots = 8): Promise<Person> {
  const who = await person()
  const { status } = await send('POST', '/v1/provider/register', { token: who.token, body: { slots, offers } })
  if (status !== 200) throw new Error(`register answered ${status}`)
  return who
}

export async function poll(who: Person, call: Partial<Poll>): Promise<PollAnswer> {
  const { status, body } = await send<PollAnswer>('POST', '/v1/provider/poll', {
    token: who.token,
    body: { free: 0, seen: 0, ...call },
  })
  if (status !== 200) throw new Error(`poll answered ${status}: ${JSON.stringify(body)}`)
  return body
}

export const CHAT = {
  kind: 'llm.chat',
  model: 'echo',
  input: { messages: [{ role: 'user', content: 'hello' }], max_tokens: 20 },
}

export async function submit(
  who: { token: string },
  task: Partial<SubmitTask> | typeof CHAT = CHAT,
): Promise<TaskView> {
  const { status, body } = await send<TaskView>('POST', '/v1/tasks', { token: who.token, body: task })
  if (status !== 201) throw new Error(`submit answered ${status}: ${JSON.stringify(body)}`)
  return body
}

export const read = async (who: { token: string }, id: string) =>
  (await send<TaskView>('GET', `/v1/tasks/${id}`, who)).body

export const accountOf = async (who: { token: string }) => (await send<AccountView>('GET', '/v1/account', who)).body

/** What must not change when a call is refused: the market's money, the account's, and how many tasks there ever were. */
export async function ledger(who: { token: string }) {
  const { body } = await send<NetworkSnapshot>('GET', '/v1/network')
  return { books: await books(), account: await accountOf(who), tasks: body.metrics.totalTasks, status: body.status }
}

export const books = async () => (await send<BooksView>('GET', '/v1/network/books')).body

export const succeeded = (lease: string, content = 'hello there', outputTokens = 4) => ({
  lease,
  outcome: {
    status: 'succeeded' as const,
    output: { content, finishReason: 'stop' },
    usage: { inputTokens: 8, outputTokens },
  },
})

export const failed = (lease: string, code = 'runner_crashed') => ({
  lease,
  outcome: { status: 'failed' as const, error: { code, message: `it failed: ${code}` } },
})

/** One task of this model, done by its provider. */
export async function work(alice: Person, bob: Person, model = OFFER.model): Promise<TaskView> {
  const task = await submit(alice, { ...CHAT, model })
  const [lease] = (await poll(bob, { free: 1, seen: 0 })).leases.slice(-1)
  await poll(bob, { seen: lease!.seq, results: [succeeded(lease!.id)] })
  return task
}

/* What goes on for longer: sockets and server-sent events. Each hands out what came, in order, and waits for what has not. */

type Inbox<T> = { next: () => Promise<T>; end: () => void; put: (item: T) => void; rest: () => Promise<T[]> }

/** A queue to await from. `next` rejects once it has ended; `rest` resolves when it has. */
function inbox<T>(): Inbox<T> {
  const items: T[] = []
  let ended = false
  let wake = Promise.withResolvers<void>()
  const stir = () => {
    wake.resolve()
    wake = Promise.withResolvers<void>()
  }
  return {
    put(item) {
      items.push(item)
      stir()
    },
    end() {
      ended = true
      stir()
    },
    async next() {
      while (items.length === 0 && !ended) await wake.promise
      if (items.length === 0) throw new Error('nothing more comes')
      return items.shift()!
    },
    async rest() {
      while (!ended) await wake.promise
      return items.splice(0)
    },
  }
}

/** A WebSocket of the Worker under test, its text frames parsed; 'pong' stays as it is. */
export async function openSocket<T>(path: string, { token }: { token?: string } = {}) {
  const headers = { upgrade: 'websocket', ...(token && { authorization: `Bearer ${token}` }) }
  const { webSocket, status } = await request(path, { headers })
  if (!webSocket) throw new Error(`the upgrade was answered ${status}`)
  const { put, end, next, rest } = inbox<T>()
  webSocket.addEventListener('message', ({ data }) => {
    if (data === 'pong') return put(data as T)
    const frame = JSON.parse(data as string)
    checkFrame(path, frame)
    put(frame)
  })
  webSocket.addEventListener('close', end)
  webSocket.addEventListener('error', end)
  webSocket.accept()
  return {
    next,
    rest,
    send: (frame: unknown) => webSocket.send(typeof frame === 'string' ? frame : JSON.stringify(frame)),
    close: () => webSocket.close(1000, 'bye'),
  }
}

export type ServerEvent<T> = { event?: string; id?: string; data: T }

/** A stream of server-sent events, their data parsed where it is JSON. */
export async function openEvents<T>(
  path: string,
  { token, body, after }: { token: string; body?: unknown; after?: string },
) {
  const response = await request(path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(after !== undefined && { 'last-event-id': after }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  if (!response.ok) throw new Error(`the stream was answered ${response.status}`)
  const { put, end, next, rest } = inbox<ServerEvent<T>>()
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  const pump = async () => {
    let text = ''
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      const blocks = (text + chunk.value).split('\n\n')
      text = blocks.pop()!
      for (const block of blocks) put(parseEvent<T>(block))
    }
  }
  void pump()
    .catch(() => {})
    .finally(end)
  return { next, rest, headers: response.headers, abort: () => reader.cancel() }
}

function parseEvent<T>(block: string): ServerEvent<T> {
  const fields = Object.fromEntries(block.split('\n').map((line) => line.split(/: ?(.*)/s, 2))) as Record<
    string,
    string
  >
  const { event, id, data = '' } = fields
  const json = /^[[{"]/.test(data) && data !== '[DONE]'
  return { ...(event && { event }), ...(id && { id }), data: (json ? JSON.parse(data) : data) as T }
}
