import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { parseAnswer, parseFrame } from '#agent/answer.ts'
import { createLog } from '#agent/log.ts'
import { defaultAsk, parsePrices, proposeAsk } from '#agent/price.ts'
import { continuation } from '#agent/prompt.ts'
import { fromToml, type Given, loadSettings } from '#agent/settings.ts'
import { sharesOf } from '#agent/slots.ts'
import { eventData } from '#agent/sse.ts'
import { backoff, TIMING } from '#agent/timing.ts'
import { terminal } from '#client/cli/terminal.ts'

test('settings have an origin for the edge and defaults for the rest', () => {
  const given = { edge: ['https://edge.example/v1/'], runners: ['doc.ocr'], price: ['doc.ocr=0.02'], slots: '2' }
  expect(loadSettings({ ...given, state: '/nowhere' })).toMatchObject({
    edges: ['https://edge.example'],
    kinds: ['doc.ocr'],
    slots: 2,
    upstreams: [],
    prices: new Map([['doc.ocr', '0.02']]),
  })
})

test('agent.toml says the same, and the command line goes before it', async () => {
  const state = await mkdtemp(join(tmpdir(), 'settings-'))
  const toml = `edge = "https://edge.example"\nname = "desk"\nslots = 3\nrunners = ["doc.ocr"]
[price]
"doc.ocr" = "0.02"
[device]
"http://127.0.0.1:8000/" = "GPU-1"
"http://127.0.0.1:8001" = ["GPU-1", "GPU-2"]
"http://127.0.0.1:8002" = []
`
  await writeFile(join(state, 'agent.toml'), toml)
  expect(loadSettings({ state, name: 'lap' })).toMatchObject({
    edges: ['https://edge.example'],
    name: 'lap',
    kinds: ['doc.ocr'],
    slots: 3,
    prices: new Map([['doc.ocr', '0.02']]),
    placing: {
      'http://127.0.0.1:8000': ['GPU-1'],
      'http://127.0.0.1:8001': ['GPU-1', 'GPU-2'],
      'http://127.0.0.1:8002': [],
    },
  })
})

test.each([
  ['prise = 1', 'prise'],
  ['price = 1', 'price'],
  ['[price]\n"doc.ocr" = 0.02', 'price.doc.ocr'],
  ['edge = 3', 'edge'],
  ['edge = [', 'Invalid TOML'],
])('a wrong agent.toml %j is refused by the name of the setting', (toml, word) => {
  expect(() => fromToml(toml)).toThrow(word)
})

test.each<[Given, string]>([
  [{}, '--edge'],
  [{ edge: ['edge'] }, '--edge'],
  [{ edge: ['http://e'], runners: ['x'] }, '--runners'],
  [{ edge: ['http://e'], slots: '0' }, '--slots'],
  [{ edge: ['http://e'], price: ['doc.ocr=-1'] }, '--price'],
  [{ edge: ['http://e'], device: ['GPU-1'] }, '--device'],
  [{ edge: ['http://e'], region: 'moon' }, '--region'],
  [{ edge: ['http://e'], owner: '0x12' }, '--owner'],
  [{ edge: ['http://e'], config: '/nowhere/agent.toml' }, '/nowhere/agent.toml'],
])('wrong settings %j are refused by the name of the option', (given, flag) => {
  expect(() => loadSettings({ state: '/nowhere', ...given })).toThrow(flag)
})

test('slots are divided among the edges, so that none is promised twice', () => {
  expect(sharesOf(5, 2)).toEqual([3, 2])
  expect(() => sharesOf(1, 2)).toThrow('1 slot cannot be promised to 2 edges')
})

test('an ask is what the owner set, else what the market suggests, never above what requesters pay unasked', () => {
  const index = (suggestedAsk: string) => [{ kind: 'doc.ocr', model: 'm', suggestedAsk } as const]
  const none = new Map()
  expect(proposeAsk('doc.ocr', 'm', new Map([['doc.ocr', '1']]), index('0.002'))).toEqual({ ask: '1', basis: 'set' })
  expect(proposeAsk('doc.ocr', 'm', none, index('0.002'))).toEqual({ ask: '0.002', basis: 'index' })
  expect(proposeAsk('doc.ocr', 'm', none, index('5'))).toEqual({ ask: '0.01', basis: 'index' })
  expect(proposeAsk('doc.ocr', 'other', none, index('0.002'))).toEqual({ ask: '0.005', basis: 'default' })
  expect(proposeAsk('doc.ocr', 'm', none, index('0'))).toEqual({ ask: '0.005', basis: 'default' })
})

test('asks are half of the default bids unless they are given', () => {
  expect(defaultAsk('llm.chat')).toBe('0.000005')
  expect(parsePrices(['llm.chat=1']).get('llm.chat')).toBe('1')
})

test('a prompt is the end of the text of the messages, never half a character', () => {
  const messages = [
    { role: 'system' as const, content: 'be brief' },
    { role: 'user' as const, content: [{ type: 'text', text: 'añb' }, { type: 'image_url' }] },
    { role: 'assistant' as const, content: null },
  ]
  expect(Buffer.from(continuation(messages, 100)).toString()).toBe('be brief\nañb')
  expect(Buffer.from(continuation(messages, 3)).toString()).toBe('ñb')
  expect(Buffer.from(continuation(messages, 2)).toString()).toBe('b')
})

test('server-sent events are put together over chunk borders', async () => {
  const encoder = new TextEncoder()
  const bytes = encoder.encode(': hi\n\ndata: {"a":"é"}\r\n\r\nevent: x\ndata:[DONE]')
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte))
      controller.close()
    },
  })
  const data: string[] = []
  for await (const event of eventData(body)) data.push(event)
  expect(data).toEqual(['{"a":"é"}', '[DONE]'])
})

test('what is not a frame of the protocol is refused', () => {
  const answer = { leases: [], results: [], revoked: [], now: 1 }
  expect(parseAnswer(answer)).toEqual(answer)
  const lease = { id: 'a.1', seq: 1, kind: 'llm.chat', model: 'm', input: {}, maxUnits: 1, stream: false, expiresAt: 1 }
  const own = { ...lease, account: `0x${'ab'.repeat(32)}` }
  expect(parseAnswer({ ...answer, leases: [lease, own] }).leases).toEqual([lease, own])
  expect(() => parseAnswer({ ...answer, leases: [{ ...lease, account: '0xab' }] })).toThrow(TypeError)
  expect(parseFrame(JSON.stringify({ type: 'answer', ...answer })).type).toBe('answer')
  for (const bad of [null, {}, { ...answer, leases: [{ id: 'a' }] }, { ...answer, now: 'x' }])
    expect(() => parseAnswer(bad)).toThrow(TypeError)
  expect(() => parseFrame('{"type":"other"}')).toThrow(TypeError)
})

test('backoff doubles up to its limit and is jittered', () => {
  expect(backoff(0, TIMING, () => 0)).toBe(250)
  expect(backoff(3, TIMING, () => 1)).toBe(4000)
  expect(backoff(50, TIMING, () => 1)).toBe(TIMING.backoffMaxMs)
})

test('a log line is JSON for programs and a sentence for people', () => {
  const lines: string[] = []
  const at = () => new Date(5)
  createLog('json', (line) => lines.push(line), at)('offline', { reason: 'gone' })
  createLog(
    'pretty',
    (line) => lines.push(line),
    at,
  )('task', { kind: 'doc.ocr', model: 'm', ms: 7, status: 'failed', code: 'x' })
  expect(JSON.parse(lines[0]!)).toEqual({ at: 5, event: 'offline', reason: 'gone' })
  expect(lines[1]).toMatch(/^\d\d:\d\d:\d\d ✗ doc\.ocr m failed in 7 ms \(x\)\n$/)
})

/** What a terminal of that size is written. */
function screen(columns: number, rows = 24) {
  const stream = Object.assign(new PassThrough(), { isTTY: true, columns, rows })
  const lines = () => stripVTControlCharacters(String(stream.read())).replaceAll('\r', '').trimEnd().split('\n')
  return { out: terminal(stream), lines }
}

const ADDRESS = `0x${'ab12'.repeat(10)}`

test.each([80, 120])('a table fits %i columns: what is too wide gives way, and no name breaks its row', (columns) => {
  const { out, lines } = screen(columns)
  const name = 'A provider with a long name\nand a second line \u202e turned'
  out.table(
    ['address', 'name', 'done', 'models'],
    [
      [ADDRESS, name, '1,024', 'meta/llama-3.2-3b, '.repeat(9)],
      ['0x1', 'b', '', 'm'],
    ],
  )
  const [head, row, short] = lines()
  expect(head).toMatch(/^ {2}address +name +done +models$/)
  expect(row!.length).toBeLessThan(columns)
  expect(row).toMatch(/^ {2}0xab12\S+…\S*ab12 {2}A provider.*… {2}1,024 {2}meta.*…$/)
  expect(short).toMatch(/^ {2}0x1 +b +m$/)
})

test('what is told goes on below itself between words, where it is too long for the screen', () => {
  const { out, lines } = screen(40)
  out.fault('No provider has ever offered this model:', 'GET /v1/models lists the models on offer.')
  out.item('price', 'about 0.00183 tokens, at most 0.005')
  expect(lines()).toEqual([
    '  ✗ No provider has ever offered this',
    '    model: GET /v1/models lists the',
    '    models on offer.',
    '    price         about 0.00183 tokens,',
    '                  at most 0.005',
  ])
})

test('what is drawn over has no line that wraps and none that leaves the screen', () => {
  const { out, lines } = screen(40, 5)
  out.draw(Array.from({ length: 9 }, (_, i) => `${i} ${out.accent('x'.repeat(60))}`))
  expect(lines()).toEqual([0, 1, 2, 3].map((i) => `${i} ${'x'.repeat(37)}`))
})
