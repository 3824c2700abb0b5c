import { afterEach, expect, test } from 'vitest'
import { type Found, probeAll } from '#agent/discovery.ts'
import type { LogEvent, LogFields } from '#agent/log.ts'
import type { RunOptions } from '#agent/runner.ts'
import { findUpstreams, UPSTREAM_KINDS } from '#agent/upstreams.ts'
import { startOpenAiServer } from '../support/openai-server.ts'

const servers: { close: () => Promise<void> }[] = []
afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())))

async function serve(...models: Parameters<typeof startOpenAiServer>) {
  const server = await startOpenAiServer(...models)
  servers.push(server)
  return server
}

function search(parts: Partial<Parameters<typeof findUpstreams>[0]>) {
  const lines: { event: LogEvent; fields: LogFields }[] = []
  const log = (event: LogEvent, fields: LogFields = {}) => void lines.push({ event, fields })
  const nothing = {
    named: [],
    usual: [],
    edges: ['https://edge.example'],
    kinds: [...UPSTREAM_KINDS],
    apiKey: undefined,
  }
  const machine = { devices: Promise.resolve([]), placing: {}, askTool: async () => undefined }
  const found = findUpstreams({ ...nothing, ...machine, ...parts }, log)
  return { found, lines, log }
}

const options = (onDelta = (_: string) => {}) => ({ signal: AbortSignal.timeout(5000), onDelta, maxUnits: 100 })
const chat = (fields = {}) => ({ messages: [{ role: 'user', content: 'count' }], ...fields })

test('a server on a usual port is found, probed with a completion, and what it says of its model kept', async () => {
  const { url } = await serve()
  const { found, lines, log } = search({ usual: [url] })
  const [offer] = await probeAll(await found, log, AbortSignal.timeout(5000))
  expect(offer).toMatchObject({ runner: { kind: 'llm.chat', model: 'm', concurrency: 8 }, probe: { context: 4096 } })
  expect(offer!.probe.speed).toBeGreaterThan(0)
  expect(lines.map(({ event }) => event)).toEqual(['found'])
})

test('a model that fails its completion is not offered, with the reason', async () => {
  const { url, behaviour } = await serve()
  behaviour.fail = 500
  const { found, lines, log } = search({ named: [url] })
  expect(await probeAll(await found, log, AbortSignal.timeout(5000))).toEqual([])
  expect(lines).toMatchObject([
    { event: 'missing', fields: { model: 'm', why: 'the model server answered 500: out of order' } },
  ])
})

test('silence is told of a server that was named, and of no other', async () => {
  const nobody = 'http://127.0.0.1:9'
  const usual = search({ usual: [nobody] })
  expect([await usual.found, usual.lines]).toEqual([[], []])
  const named = search({ named: [nobody] })
  await named.found
  expect(named.lines).toMatchObject([{ event: 'missing', fields: { model: nobody } }])
})

test('an edge is no upstream: neither the one worked for nor another that sells the same models', async () => {
  const { url } = await serve([{ id: 'm', owned_by: 'daicn' }])
  expect(await search({ usual: [url] }).found).toEqual([])
  const other = await serve()
  expect(await search({ usual: [other.url], edges: [other.url] }).found).toEqual([])
})

test('the API key goes to a server that was named, not to whoever listens on a usual port', async () => {
  const [named, usual] = [await serve(), await serve()]
  await search({ named: [named.url], usual: [usual.url], apiKey: 'k' }).found
  expect(named.requests[0]!.authorization).toBe('Bearer k')
  expect(usual.requests[0]!.authorization).toBeUndefined()
})

test('a chat is streamed, its unknown fields passed on, its length limited to what is paid', async () => {
  const { url, requests } = await serve()
  const [runner] = await search({ named: [url] }).found
  const deltas: string[] = []
  const outcome = await runner!.run(
    chat({ max_tokens: 500, logit_bias: { 1: 2 } }),
    options((text) => deltas.push(text)),
  )
  expect(outcome).toEqual({
    output: { content: 'one two three', finishReason: 'stop' },
    usage: { inputTokens: 7, outputTokens: 3 },
  })
  expect(deltas).toEqual(['one', ' two', ' three'])
  expect(requests.at(-1)!.body).toMatchObject({
    model: 'm',
    max_tokens: 100,
    logit_bias: { 1: 2 },
    stream: true,
    stream_options: { include_usage: true },
  })
})

test('tool calls are told as they come, and put together from their pieces', async () => {
  const { url, behaviour } = await serve()
  behaviour.tools = true
  const [runner] = await search({ named: [url] }).found
  const told: unknown[] = []
  const onDelta: RunOptions['onDelta'] = (...piece) => told.push(piece)
  const { output } = await runner!.run(chat({ tools: [] }), { ...options(), onDelta })
  const call = (more: object) => ({ index: 0, tool_calls: [{ index: 0, ...more }] })
  expect(told).toEqual([
    ['', 1, call({ id: 'call_1', type: 'function', function: { name: 'add' } })],
    ['', 1, call({ function: { arguments: '{"a":' } })],
    ['', 1, call({ function: { arguments: '1}' } })],
  ])
  expect(output).toEqual({
    content: null,
    finishReason: 'tool_calls',
    tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'add', arguments: '{"a":1}' } }],
  })
})

test('a refused request and a stream that breaks off fail with their own codes', async () => {
  const { url, behaviour } = await serve()
  const [runner] = await search({ named: [url] }).found
  behaviour.breakOff = true
  await expect(runner!.run(chat(), options())).rejects.toMatchObject({ code: 'upstream_failed' })
  behaviour.fail = 400
  await expect(runner!.run(chat(), options())).rejects.toMatchObject({ code: 'upstream_refused' })
})

test('a server for embeddings is offered for them, in the order of the texts, and is cut short where it can be', async () => {
  const { url, behaviour } = await serve()
  Object.assign(behaviour, { embeds: 4, cuts: true })
  const { found, log } = search({ usual: [url] })
  const [offer] = await probeAll(await found, log, AbortSignal.timeout(5000))
  expect(offer).toMatchObject({
    runner: { kind: 'text.embed', model: 'm', concurrency: 8 },
    probe: { context: 4096, capabilities: ['dimensions'] },
  })
  const { output } = await offer!.runner.run({ texts: ['four', 'seventy'], dimensions: 2 }, options())
  expect(output.embeddings).toEqual([
    [4, 2],
    [7, 3.5],
  ])
  behaviour.cuts = false
  await expect(offer!.runner.run({ texts: ['a'], dimensions: 2 }, options())).rejects.toThrow(
    'does not give 2 dimensions',
  )
  behaviour.fail = 500
  await expect(offer!.runner.check!(AbortSignal.timeout(5000))).rejects.toThrow()
})

const CARDS = ['GPU-1', 'GPU-2'].map((id) => ({ id, kind: 'nvidia' as const, name: '', memoryBytes: 0 }))
const CPU = { id: 'CPU', kind: 'cpu', name: '', memoryBytes: 0 } as const

test.each<[what: string, devices: string[] | undefined, Partial<Parameters<typeof search>[0]>, loaded?: object[]]>([
  ['a machine without a card', ['CPU'], { devices: Promise.resolve([CPU]) }],
  [
    'what ollama has not on a card',
    ['CPU'],
    {},
    [
      { name: 'm:latest', size_vram: 0 },
      { name: 'n', size_vram: 9 },
    ],
  ],
  [
    'what ollama has on the one card',
    ['GPU-1'],
    { devices: Promise.resolve([CARDS[0]!, CPU]) },
    [{ name: 'm', size_vram: 9 }],
  ],
  ['what ollama passes on to elsewhere', undefined, { devices: Promise.resolve([CPU]) }, []],
  ["its owner's word", ['GPU-2'], {}, [{ name: 'm', size_vram: 0 }]],
  ["its owner's silence", undefined, { devices: Promise.resolve([CPU]) }],
])('the result of a server names where it was made: %s', async (what, devices, machine, loaded) => {
  const { url, behaviour } = await serve()
  behaviour.loaded = loaded
  const said = { "its owner's word": ['GPU-2'], "its owner's silence": [] }[what]
  const placing: Record<string, string[]> = said ? { [url]: said } : {}
  const { found, log } = search({ named: [url], placing, devices: Promise.resolve([...CARDS, CPU]), ...machine })
  const [{ runner }] = (await probeAll(await found, log, AbortSignal.timeout(5000))) as [Found]
  expect((await runner.run(chat(), options())).devices).toEqual(devices)
})

test('of a model that chats and of which ollama makes vectors too, chats are offered', async () => {
  const { url, behaviour } = await serve([{ id: 'm', owned_by: 'library' }])
  Object.assign(behaviour, { embeds: 4, shows: ['completion', 'tools'] })
  expect(await search({ usual: [url] }).found).toMatchObject([{ kind: 'llm.chat' }])
  behaviour.shows = ['embedding']
  expect(await search({ usual: [url] }).found).toMatchObject([{ kind: 'text.embed' }])
  expect(await search({ usual: [url], kinds: ['llm.chat'] }).found).toEqual([])
})
