/** Whatever comes, the edge answers, and it is never the edge's fault. A failure prints the seed and the smallest example. */
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import {
  books,
  CHAT,
  OFFER,
  openSocket,
  type Person,
  person,
  poll,
  provider,
  read,
  requester,
  send,
  submit,
  succeeded,
} from '../support/network.ts'

const SEED = 20_260_101
const RUNS = 60

let alice: Person & { session: string }
let poor: Person
let bob: Person
let lease: string

beforeAll(async () => {
  alice = await requester()
  // Its tasks are all refused for want of money, so that no call waits for one to be done.
  poor = await person()
  bob = await provider([{ ...OFFER, model: 'streamed' }])
  await provider([OFFER, { ...OFFER, kind: 'text.embed', model: 'embedder' }])
  await submit(alice, { ...CHAT, model: 'streamed', stream: true })
  lease = (await poll(bob, { free: 1 })).leases[0]!.id
})

const messages = [{ role: 'user', content: 'hello' }]
const wish = { minReputation: 0.5, region: 'weur', minContext: 8, exclude: [`0x${'1'.repeat(40)}`] }
const sign = { address: `0x${'1'.repeat(40)}`, audience: 'https://edge.test', issuedAt: 1, signature: '0x12' }

/** Every route that takes a body, who calls it, and a body that it takes. */
const ROUTES: [method: string, path: string, who: () => string, body: unknown][] = [
  ['POST', '/v1/sign-in', () => '', { ...sign, issuedAt: Date.now() }],
  ['POST', '/v1/account/faucet', () => alice.session, {}],
  ['POST', '/v1/keys', () => alice.session, { name: 'k', scopes: ['tasks:read'], budget: '1', expiresInSeconds: 60 }],
  ['POST', '/v1/tasks', () => alice.token, { ...CHAT, maxPrice: '0.01', requirements: wish, deadlineSeconds: 60 }],
  ['POST', '/v1/tasks', () => alice.token, [CHAT, { kind: 'text.embed', input: { texts: ['a'] }, maxAttempts: 2 }]],
  ['POST', '/v1/tasks/c1-000000000abcdefgh/cancel', () => alice.token, {}],
  ['POST', '/v1/chat/completions', () => poor.token, { model: 'echo', messages, stop: ['x'], seed: 1, tools: [] }],
  ['POST', '/v1/embeddings', () => poor.token, { model: 'embedder', input: ['a', 'b'], encoding_format: 'float' }],
  ['POST', '/v1/provider/register', () => bob.token, { slots: 2, region: 'apac', offers: [{ ...OFFER, context: 8 }] }],
  [
    'POST',
    '/v1/provider/poll',
    () => bob.token,
    { free: 1, seen: 9, results: [succeeded('c1-x.1')], renew: ['c1-x.2'] },
  ],
  ['PUT', '/v1/leases/LEASE/output', () => bob.token, { from: 0, deltas: ['a', 'b'] }],
]

const nasty = fc.constantFrom<unknown>(
  ...[null, true, -1, 0, 0.5, 1e308, -0, 2 ** 53, '', '0', '-1', '1e9', '\ud800', '\0', '__proto__', 'constructor'],
  ...[[], {}, [[]], ['__proto__'], { length: 1 }, JSON.parse('{"__proto__":{"x":1},"toString":1,"hasOwnProperty":0}')],
  ...['x'.repeat(300), Array(300).fill(0)],
)
const anything = fc.oneof(nasty, fc.jsonValue({ maxDepth: 4 }), fc.string({ unit: 'binary' }), fc.double())

const name = fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', 'length', 'toString', 'toJSON', ''))

/** A body in which a few values were replaced, removed or added. */
const mutated = (body: unknown) =>
  fc
    .array(
      fc.record({ at: fc.nat(), how: fc.nat(3), key: name, value: anything.map((value) => structuredClone(value)) }),
      {
        minLength: 1,
        maxLength: 3,
      },
    )
    .map((changes) => {
      const whole = { body: structuredClone(body) as unknown }
      for (const { at, how, key, value } of changes) {
        const places = placesOf(whole)
        const [holder, name] = places[at % places.length]!
        if (how === 0 && holder !== whole) delete holder[name]
        else if (
          how === 1 &&
          typeof holder[name] === 'object' &&
          holder[name] !== null &&
          !Array.isArray(holder[name])
        ) {
          Object.defineProperty(holder[name], key, {
            value,
            enumerable: true,
            configurable: true,
            writable: true,
          })
        } else holder[name] = value
      }
      return whole.body
    })

type Holder = Record<string, unknown>

function placesOf(holder: Holder): [Holder, string][] {
  return Object.keys(holder).flatMap((name): [Holder, string][] => {
    const value = holder[name]
    const own: [Holder, string] = [holder, name]
    return typeof value === 'object' && value !== null ? [own, ...placesOf(value as Holder)] : [own]
  })
}

/** No call may be held open for long by a body that happens to be right. */
function hurried(body: unknown): unknown {
  const { waitSeconds } = (body ?? {}) as { waitSeconds?: unknown }
  return typeof waitSeconds === 'number' && waitSeconds > 0 ? { ...(body as object), waitSeconds: 0 } : body
}

test.each(ROUTES)('%s %s never fails on what it is sent', async (method, path, who, valid) => {
  const answered = async (raw: string) => {
    const headers = { 'content-type': 'application/json' }
    const { status, body } = await send(method, path.replace('LEASE', lease), { token: who(), raw, headers })
    // That nobody offers what was asked for is no failure.
    if (status === 503) expect(body).toMatchObject({ code: 'no_provider' })
    else expect(status, JSON.stringify(body)).toBeLessThan(500)
  }
  const bodies = fc.oneof({ weight: 1, arbitrary: anything }, { weight: 4, arbitrary: mutated(valid) })
  await answered(JSON.stringify(valid))
  await fc.assert(
    fc.asyncProperty(bodies, (body) => answered(JSON.stringify(hurried(body)) ?? 'null')),
    { seed: SEED, numRuns: RUNS },
  )
  await fc.assert(fc.asyncProperty(fc.string({ unit: 'binary' }), answered), { seed: SEED, numRuns: RUNS / 4 })
})

test('paths and queries of any form never fail', async () => {
  const paths = [
    '/v1/tasks/ID',
    '/v1/tasks/ID/cancel',
    '/v1/keys/ID',
    '/v1/leases/ID/output',
    '/v1/network/series?from=ID',
  ]
  const routes = fc.record({
    path: fc.constantFrom(...paths, '/v1/tasks/ID?waitSeconds=0', '/v1/network/series?to=ID', '/v1/ID'),
    id: fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('c1-000000000abcdefgh', '%', '%ff', '..', 'c1-000000000abcdefgh.1'),
    ),
    method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'),
    token: fc.constantFrom(alice.session, alice.token, 'dk_', 'e30.e30.e30', ''),
  })
  await fc.assert(
    fc.asyncProperty(routes, async ({ path, id, method, token }) => {
      const safe = id.startsWith('%') ? id : encodeURIComponent(id.toWellFormed())
      const { status, body } = await send(method, path.replace('ID', safe), { token })
      expect(status, JSON.stringify(body)).toBeLessThan(500)
    }),
    { seed: SEED, numRuns: RUNS * 4 },
  )
})

test('a provider socket answers every frame', async () => {
  const carol = await provider([{ ...OFFER, model: 'socketed' }])
  const socket = await openSocket<{ type: string }>('/v1/provider/socket', carol)
  const valid = { type: 'poll', free: 1, seen: 0, results: [succeeded('c1-x.1')], renew: ['c1-x.2'] }
  await fc.assert(
    fc.asyncProperty(fc.oneof(anything, mutated(valid)), async (frame) => {
      const text = JSON.stringify(frame) ?? ''
      socket.send(text === '"ping"' ? '' : text)
      expect(['answer', 'error']).toContain((await socket.next()).type)
    }),
    { seed: SEED, numRuns: RUNS * 2 },
  )
  socket.close()
})

test('the socket of an output takes any frame, and answers for the next', async () => {
  const carol = await provider([{ ...OFFER, model: 'watched' }])
  await submit(alice, { ...CHAT, model: 'watched', stream: true })
  const path = `/v1/leases/${(await poll(carol, { free: 1 })).leases[0]!.id}/output`
  let socket = await openSocket<{ next: number }>(path, carol)
  expect(await socket.next()).toEqual({ next: expect.any(Number) })
  const texts = fc.oneof(
    fc.oneof(anything, mutated({ from: 0, deltas: ['a', 'b'], tokens: 2 })).map((frame) => JSON.stringify(frame) ?? ''),
    fc.constantFrom('', '{', 'next', `{"from":0,"deltas":[${'['.repeat(50_000)}${']'.repeat(50_000)}]}`),
    fc.string({ unit: 'binary' }),
  )
  await fc.assert(
    fc.asyncProperty(texts, async (text) => {
      try {
        socket.send(text)
        socket.send('next')
        await socket.next()
      } catch {
        // What is no frame at all ends the socket, and another may be opened.
        socket = await openSocket(path, carol)
        await socket.next()
      }
    }),
    { seed: SEED, numRuns: RUNS * 2 },
  )
  socket.close()
  const { status } = await send('PUT', path, { token: carol.token, body: { from: 0, deltas: ['x'] } })
  expect(status).toBe(200)
})

test('whatever a watcher says, the network and a task are told to it', async () => {
  const task = await submit(alice, { ...CHAT, model: 'streamed' })
  for (const [path, token] of [
    ['/v1/network/socket', ''],
    [`/v1/tasks/${task.id}/socket`, alice.token],
  ] as const) {
    const socket = await openSocket<object>(path, { token })
    expect(await socket.next()).toEqual(expect.any(Object))
    await fc.assert(
      fc.asyncProperty(anything, async (value) => socket.send(JSON.stringify(value) ?? '')),
      { seed: SEED, numRuns: RUNS },
    )
    socket.send('ping')
    while ((await socket.next()) !== ('pong' as unknown)) {}
    socket.close()
  }
})

test.each<[name: string, body: () => BodyInit, headers?: Record<string, string>]>([
  ['a bomb of gzip', () => bombOf('gzip'), { 'content-encoding': 'gzip' }],
  ['a bomb of deflate', () => bombOf('deflate'), { 'content-encoding': 'deflate' }],
  ['a body that breaks off', () => brokenBody()],
  ['a body that comes byte by byte', () => slowBody(JSON.stringify({ kind: 'llm.chat' }))],
  ['a byte order mark', () => new Uint8Array([0xef, 0xbb, 0xbf, 0x7b, 0x7d])],
  ['half a character', () => new Uint8Array([0x22, 0xe2, 0x82])],
  ['a lone surrogate', () => '"\\ud800"'],
  ['a number without end', () => `{"kind":${'9'.repeat(100_000)}}`],
  ['ten thousand fields that nobody knows', () => JSON.stringify({ ...CHAT, ...Array(10_000).fill(0) })],
])('%s is refused and costs nothing', async (_, body, headers) => {
  const before = await books()
  const reply = await send('POST', '/v1/tasks', {
    token: alice.token,
    raw: body(),
    headers: { 'content-type': 'application/json', ...headers },
  })
  expect([400, 413, 422], JSON.stringify(reply.body)).toContain(reply.status)
  expect(JSON.stringify(reply.body).length).toBeLessThan(2_000)
  expect(await books()).toEqual(before)
})

/** Eight MiB of blanks in a few thousand bytes, as they would come. */
function bombOf(format: 'gzip' | 'deflate'): ReadableStream {
  const blanks = new Blob([new Uint8Array(8 * 1024 * 1024).fill(0x20)]).stream()
  return blanks.pipeThrough(new CompressionStream(format))
}

function brokenBody(): ReadableStream {
  let sent = false
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent) return controller.error(new Error('gone'))
      sent = true
      controller.enqueue(new TextEncoder().encode('{"kind":'))
    },
  })
}

function slowBody(text: string): ReadableStream {
  const bytes = new TextEncoder().encode(text)
  let at = 0
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at === bytes.length) return controller.close()
      controller.enqueue(bytes.subarray(at, ++at))
    },
  })
}

test('a result nested without bound is refused on a socket too, and its lease stands', async () => {
  const carol = await provider([{ ...OFFER, model: 'deep' }])
  const task = await submit(alice, { ...CHAT, model: 'deep' })
  const [lease] = (await poll(carol, { free: 1 })).leases
  const socket = await openSocket('/v1/provider/socket', carol)
  const result = JSON.stringify({ type: 'poll', free: 0, seen: lease!.seq, results: [succeeded(lease!.id)] })
  for (const levels of [500, 5_000, 50_000]) {
    socket.send(result.replace('"content"', `"x":${'['.repeat(levels)}${']'.repeat(levels)},"content"`))
    expect(await socket.next()).toMatchObject({ type: 'error', problem: { code: 'invalid_request' } })
  }
  expect((await read(alice, task.id)).status).toBe('leased')
  socket.send(result)
  expect(await socket.next()).toMatchObject({ type: 'answer', results: [{ lease: lease!.id, accepted: true }] })
  socket.close()
})

test('after all of that the books still balance', async () => {
  const { drawn, restored, held, available, captured, earned, fees } = await books()
  const [d, r, h, a, c, e, f] = [drawn, restored, held, available, captured, earned, fees].map(Number)
  expect(d).toBeCloseTo(r! + h! + a! + c!, 9)
  expect(c).toBeCloseTo(e! + f!, 9)
})
