import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openInput } from '#agent/input.ts'
import { localRunners } from '#agent/local-runners.ts'
import type { Outcome } from '#agent/runner.ts'
import { TIMING } from '#agent/timing.ts'
import type { Lease } from '#core/protocol/lease.ts'
import { type Kind, OUTPUTS } from '#core/protocol/work.ts'

/** The real runners, each in its own process, one after another: the machine may have two cores. */
const [embed, ocr, llama] = localRunners(['text.embed', 'doc.ocr', 'llm.chat'], () => {})
const page = new URL('../../scripts/demo/page.png', import.meta.url)

beforeAll(async () => {
  for (const runner of [embed, ocr, llama]) await runner!.load(AbortSignal.timeout(60_000))
}, 60_000)
afterAll(() => Promise.all([embed, ocr, llama].map((runner) => runner!.close())))

async function run(runner: typeof embed, input: Lease['input'], onDelta = (_: string) => {}): Promise<Outcome> {
  const kind: Kind = runner!.kind
  const signal = AbortSignal.timeout(30_000)
  const none = () => Promise.reject(new Error('the input refers to nothing'))
  const work = await openInput({ kind, input } as Lease, none, { timing: TIMING, random: Math.random, signal })
  const outcome = await runner!.run(work, { signal, onDelta, maxUnits: 100 })
  OUTPUTS[kind].parse(outcome.output)
  expect(outcome.devices).toEqual(['CPU'])
  return outcome
}

test.each([embed, ocr, llama])(
  '$kind $model passes its probe and shows a speed and the digest of its weights',
  async (runner) => {
    const probe = await runner!.probe(AbortSignal.timeout(30_000))
    expect(probe.speed).toBeGreaterThan(0)
    expect(probe.digest).toMatch(/^sha256:[0-9a-f]{64}$/)
  },
)

test('embeddings of related sentences are closer than of unrelated ones, and the same each time', async () => {
  const texts = ['The cat sat on the mat.', 'A kitten was sitting on a rug.', 'Interest rates rose sharply.']
  const { output } = await run(embed, { texts })
  const [cat, kitten, rates] = output.embeddings as number[][]
  const dot = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + x * b[i]!, 0)
  expect(dot(cat!, kitten!)).toBeGreaterThan(dot(cat!, rates!) + 0.2)
  expect(dot(cat!, cat!)).toBeCloseTo(1, 3)
  expect((await run(embed, { texts })).output).toEqual(output)
})

test('every text gets its embedding, over more than one batch', async () => {
  const texts = Array.from({ length: 19 }, (_, i) => `sentence ${i}`)
  const { embeddings } = (await run(embed, { texts })).output as { embeddings: number[][] }
  expect(embeddings.map((vector) => vector.length)).toEqual(texts.map(() => 512))
})

test('a printed page is read without error', async () => {
  const { output } = await run(ocr, { image: (await readFile(page)).toString('base64'), mediaType: 'image/png' })
  expect((output.text as string).split(/\n+/)).toEqual([
    'An open market for AI compute',
    'A requester sends a task to the edge.',
    'The market finds a provider and says why.',
    'The provider runs it and streams the output back.',
    'A signed receipt shows what ran and what it cost.',
    'Nobody pays for work that was not delivered.',
  ])
  expect(output.confidence).toBeGreaterThan(0.8)
})

test('what is no image, a torn image and a huge one fail, and the next page is read', async () => {
  const bytes = await readFile(page)
  const huge = Buffer.from(bytes.subarray(0, 4000))
  huge.writeUInt32BE(100_000, 16)
  huge.writeUInt32BE(100_000, 20)
  const read = (image: Buffer) => run(ocr, { image: image.toString('base64'), mediaType: 'image/png' })
  await expect(read(Buffer.from('hello'))).rejects.toMatchObject({ code: 'invalid_input' })
  await expect(read(bytes.subarray(0, 4000))).rejects.toMatchObject({ code: 'unreadable_image' })
  await expect(read(huge)).rejects.toMatchObject({ code: 'invalid_input' })
  await expect(read(bytes)).resolves.toBeDefined()
})

const chat = (content: string, fields = {}) => ({ messages: [{ role: 'user', content }], ...fields })

test('a completion streams its text in pieces, and the same seed gives the same text', async () => {
  const deltas: string[] = []
  const input = chat('ROMEO:\n', { max_tokens: 40, seed: 5, temperature: 0.9 })
  const first = await run(llama, input, (text) => deltas.push(text))
  expect(deltas.length).toBeGreaterThan(10)
  expect(deltas.join('')).toBe(first.output.content)
  expect(first.usage).toEqual({ inputTokens: 8, outputTokens: 40 })
  expect(first.output.finishReason).toBe('length')
  expect(await run(llama, input)).toEqual(first)
  expect((await run(llama, { ...input, seed: 6 })).output.content).not.toBe(first.output.content)
})

test('a completion ends before a stop text, which is not part of it', async () => {
  const { output } = await run(llama, chat('To be', { stop: ' the', temperature: 0, max_tokens: 90 }))
  expect(output.finishReason).toBe('stop')
  expect(output.content).not.toContain(' the')
})

test('a prompt beyond the context is cut from its start, at a whole character', async () => {
  const { output, usage } = await run(llama, chat('é'.repeat(300), { max_tokens: 50 }))
  expect(usage.inputTokens).toBeLessThanOrEqual(78)
  expect(usage.inputTokens % 2).toBe(1)
  expect(output.content).not.toBe('')
})
