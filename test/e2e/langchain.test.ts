import { HumanMessage, ToolMessage } from '@langchain/core/messages'
import { tool } from '@langchain/core/tools'
import { ChatOpenAI, OpenAI, OpenAIEmbeddings } from '@langchain/openai'
import { afterAll, beforeAll, expect, test } from 'vitest'
import * as z from 'zod'
import { type ClientWorld, createClientWorld, EMBEDDER, LOCAL_MODEL } from '../support/client-world.ts'
import { UPSTREAM_MODEL } from '../support/upstream-process.ts'

let world: ClientWorld
beforeAll(async () => {
  world = await createClientWorld()
})
afterAll(() => world.world.end())

const settings = (model: string) => ({
  model,
  apiKey: world.apiKey,
  configuration: { baseURL: world.baseURL },
  maxRetries: 0,
})
const chat = (more: object = {}, model = UPSTREAM_MODEL) => new ChatOpenAI({ ...settings(model), ...more })
const SAID = 'You said: hello And so on, dear friend.'

test('a chat is answered, with what it used', async () => {
  const message = await chat().invoke('hello')
  expect(message.content).toBe(SAID)
  expect(message.usage_metadata).toMatchObject({ input_tokens: 1, output_tokens: 8, total_tokens: 9 })
})

test('a chat is streamed', async () => {
  let text = ''
  for await (const chunk of await chat().stream('hello')) text += chunk.text
  expect(text).toBe(SAID)
})

test('a tool is called and its answer read', async () => {
  const weigh = tool(async () => 'heavy', {
    name: 'weigh',
    description: 'weighs',
    schema: z.object({ grams: z.int() }),
  })
  const model = chat().bindTools([weigh])
  const question = new HumanMessage('hello')
  const asked = await model.invoke([question])
  expect(asked.tool_calls).toMatchObject([{ name: 'weigh', args: { grams: 7 } }])
  const pieces: string[] = []
  for await (const { tool_call_chunks = [] } of await model.stream([question]))
    pieces.push(...tool_call_chunks.map(({ args }) => args ?? ''))
  expect(pieces.filter(Boolean)).toEqual(['{"gra', 'ms":7', '}'])
  const answered = new ToolMessage({ content: 'heavy', tool_call_id: asked.tool_calls![0]!.id! })
  expect((await model.invoke([question, asked, answered])).content).toMatch(/^The tool says heavy\./)
})

test.each(['jsonSchema', 'functionCalling'] as const)('structured output by %s', async (method) => {
  const schema = z.object({ name: z.string(), sizes: z.array(z.number()) })
  expect(await chat().withStructuredOutput(schema, { method }).invoke('hello')).toEqual({
    name: 'something',
    sizes: [7],
  })
})

test('plain completions and embeddings', async () => {
  const model = new OpenAI({ ...settings(UPSTREAM_MODEL), maxTokens: 9, streaming: false })
  expect(await model.invoke('Once')).toContain('friend.')
  const embeddings = new OpenAIEmbeddings(settings(EMBEDDER))
  const texts = Array.from({ length: 65 }, (_, i) => `document ${i}`)
  const vectors = await embeddings.embedDocuments(texts)
  expect(vectors).toHaveLength(65)
  expect(await embeddings.embedQuery(texts[64]!)).toHaveLength(512)
})

test('a refusal is an error with the reason', async () => {
  await expect(chat({ n: 2 }, LOCAL_MODEL).invoke('hello')).rejects.toMatchObject({
    status: 400,
    code: 'unsupported_parameter',
    param: 'n',
  })
})
