import { createOpenAICompatible, type OpenAICompatibleProvider } from '@ai-sdk/openai-compatible'
import { APICallError, embedMany, generateText, Output, stepCountIs, streamText, tool } from 'ai'
import { afterAll, beforeAll, expect, test } from 'vitest'
import * as z from 'zod'
import { type ClientWorld, createClientWorld, EMBEDDER, LOCAL_MODEL } from '../support/client-world.ts'
import { UPSTREAM_MODEL } from '../support/upstream-process.ts'

let world: ClientWorld
let daicn: OpenAICompatibleProvider
beforeAll(async () => {
  world = await createClientWorld()
  const { baseURL, apiKey } = world
  daicn = createOpenAICompatible({
    name: 'daicn',
    baseURL,
    apiKey,
    supportsStructuredOutputs: true,
    includeUsage: true,
  })
})
afterAll(() => world.world.end())

const SAID = 'You said: hello And so on, dear friend.'

test('text is generated', async () => {
  const { text, usage, finishReason } = await generateText({ model: daicn(UPSTREAM_MODEL), prompt: 'hello' })
  expect([text, finishReason]).toEqual([SAID, 'stop'])
  expect(usage).toMatchObject({ inputTokens: 1, outputTokens: 8, totalTokens: 9 })
})

test('text is streamed, with its usage', async () => {
  const result = streamText({ model: daicn(UPSTREAM_MODEL), prompt: 'hello' })
  let text = ''
  for await (const delta of result.textStream) text += delta
  expect(text).toBe(SAID)
  expect(await result.usage).toMatchObject({ inputTokens: 1, outputTokens: 8 })
})

test('tools are called until there is an answer, streamed or not', async () => {
  const asked: unknown[] = []
  const weigh = tool({
    description: 'weighs',
    inputSchema: z.object({ grams: z.int() }),
    execute: async (input) => {
      asked.push(input)
      return 'heavy'
    },
  })
  const request = { model: daicn(UPSTREAM_MODEL), prompt: 'hello', tools: { weigh }, stopWhen: stepCountIs(3) }
  const { text, steps } = await generateText(request)
  expect(steps).toHaveLength(2)
  expect(text).toMatch(/^The tool says "?heavy/)
  const streamed = streamText(request)
  let input = ''
  let pieces = 0
  for await (const part of streamed.fullStream) {
    if (part.type !== 'tool-input-delta') continue
    input += part.delta
    pieces++
  }
  expect([JSON.parse(input), pieces]).toEqual([{ grams: 7 }, 3])
  expect(await streamed.text).toBe(text)
  expect(asked).toEqual([{ grams: 7 }, { grams: 7 }])
})

test('an object fits its schema', async () => {
  const schema = z.object({ name: z.string(), sizes: z.array(z.number()) })
  const request = { model: daicn(UPSTREAM_MODEL), prompt: 'hello', output: Output.object({ schema }) }
  expect((await generateText(request)).output).toEqual({ name: 'something', sizes: [7] })
  expect(await streamText(request).output).toEqual({ name: 'something', sizes: [7] })
})

test('plain completions and embeddings', async () => {
  const { text } = await generateText({
    model: daicn.completionModel(UPSTREAM_MODEL),
    prompt: 'Once',
    maxOutputTokens: 9,
  })
  expect(text).toContain('friend.')
  const values = ['one', 'two', 'three']
  const { embeddings } = await embedMany({ model: daicn.embeddingModel(EMBEDDER), values })
  expect(embeddings.map(({ length }) => length)).toEqual([512, 512, 512])
})

test('a refusal is an error with the reason', async () => {
  const tools = { f: tool({ inputSchema: z.object({ x: z.int() }), execute: async () => 'x' }) }
  const work = generateText({ model: daicn(LOCAL_MODEL), prompt: 'hello', tools, maxRetries: 0 })
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(APICallError.isInstance(error) && [error.statusCode, error.isRetryable]).toEqual([400, false])
  expect((error as Error).message).toContain('tools')
})
