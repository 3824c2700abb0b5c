import OpenAI, { type APIError, BadRequestError, NotFoundError } from 'openai'
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod'
import { afterAll, beforeAll, expect, test } from 'vitest'
import * as z from 'zod'
import { type ClientWorld, createClientWorld, EMBEDDER, LOCAL_MODEL } from '../support/client-world.ts'
import { UPSTREAM_MODEL } from '../support/upstream-process.ts'

let world: ClientWorld
let openai: OpenAI
beforeAll(async () => {
  world = await createClientWorld()
  openai = new OpenAI({ baseURL: world.baseURL, apiKey: world.apiKey, maxRetries: 0 })
})
afterAll(() => world.world.end())

const hello = [{ role: 'user' as const, content: 'hello' }]
const ONCE = { daicn: { maxAttempts: 1 } }
const SAID = 'You said: hello And so on, dear friend.'

const caught = (work: Promise<unknown>): Promise<APIError> =>
  work.then(
    () => Promise.reject(new Error('it was not refused')),
    (error: APIError) => error,
  )

test('a chat is answered, and says what it used', async () => {
  const answer = await openai.chat.completions.create({ model: UPSTREAM_MODEL, messages: hello })
  expect(answer.choices).toEqual([
    { index: 0, message: { role: 'assistant', content: SAID }, finish_reason: 'stop', logprobs: null },
  ])
  expect(answer.model).toBe(UPSTREAM_MODEL)
  expect(answer.usage).toEqual({ prompt_tokens: 1, completion_tokens: 8, total_tokens: 9 })
})

test('a chat streams, with its usage when asked', async () => {
  const stream = openai.chat.completions.stream({
    model: UPSTREAM_MODEL,
    messages: hello,
    stream_options: { include_usage: true },
  })
  const deltas: string[] = []
  stream.on('content', (delta) => deltas.push(delta))
  expect(await stream.finalContent()).toBe(SAID)
  expect(deltas.join('')).toBe(SAID)
  expect(await stream.totalUsage()).toMatchObject({ prompt_tokens: 1, completion_tokens: 8, total_tokens: 9 })
})

test('stop, seed and the limit of tokens reach the model', async () => {
  const ask = async (more: object) => {
    const request = { model: UPSTREAM_MODEL, messages: hello, ...more }
    return (await openai.chat.completions.create(request)).choices[0]!
  }
  expect(await ask({ stop: ['And'] })).toMatchObject({
    message: { content: 'You said: hello ' },
    finish_reason: 'stop',
  })
  expect((await ask({ seed: 2 })).message.content).toBe('You said: hello And so on, old friend.')
  const limited = { message: { content: 'You said: ' }, finish_reason: 'length' }
  expect(await ask({ max_tokens: 2 })).toMatchObject(limited)
  expect(await ask({ max_completion_tokens: 2 })).toMatchObject(limited)
})

test('several choices come with their log probabilities, streamed or not', async () => {
  const request = { model: UPSTREAM_MODEL, messages: hello, n: 2, logprobs: true, top_logprobs: 1 }
  const whole = await openai.chat.completions.create(request)
  const texts = ['You said: hello And so on, dear friend.', 'You said: hello And so on, good friend.']
  expect(whole.choices.map(({ message }) => message.content)).toEqual(texts)
  const streaming = openai.chat.completions.stream(request)
  const tokens: string[] = []
  streaming.on('logprobs.content.delta', ({ content }) => tokens.push(...content.map(({ token }) => token)))
  const streamed = await streaming.finalChatCompletion()
  expect(tokens.join('').length).toBeGreaterThanOrEqual(texts.join('').length)
  expect(streamed.choices.map(({ message }) => message.content)).toEqual(texts)
  for (const { choices } of [whole, streamed]) {
    for (const { logprobs, message } of choices)
      expect(logprobs!.content!.map(({ token }) => token).join('')).toBe(message.content)
  }
})

test('a tool is called, streamed or not, and its answer is read', async () => {
  const tools = [zodFunction({ name: 'count', parameters: z.object({ items: z.int(), unit: z.enum(['kg', 'g']) }) })]
  const request = { model: UPSTREAM_MODEL, messages: hello, tools, tool_choice: 'required' as const }
  const { choices } = await openai.chat.completions.parse(request)
  expect(choices[0]!.finish_reason).toBe('tool_calls')
  const [tool] = choices[0]!.message.tool_calls!
  expect(tool).toMatchObject({ function: { name: 'count', parsed_arguments: { items: 7, unit: 'kg' } } })
  if (tool?.type !== 'function') throw new Error('no call of a function')
  const streaming = openai.chat.completions.stream(request)
  const pieces: string[] = []
  streaming.on('tool_calls.function.arguments.delta', ({ arguments_delta }) => pieces.push(arguments_delta))
  const streamed = await streaming.finalMessage()
  expect(streamed.tool_calls).toMatchObject([{ id: tool!.id, function: { name: 'count' } }])
  // As the model server wrote it, five characters at a time.
  expect(pieces.filter(Boolean)).toEqual(tool.function.arguments.match(/.{1,5}/g))

  const messages = [...hello, choices[0]!.message, { role: 'tool' as const, tool_call_id: tool!.id, content: '12' }]
  const answer = await openai.chat.completions.create({ model: UPSTREAM_MODEL, messages, tools })
  expect(answer.choices[0]!.message.content).toMatch(/^The tool says 12\./)
})

test('the runner of tools goes round by itself', async () => {
  const asked: unknown[] = []
  const runner = openai.chat.completions.runTools({
    model: UPSTREAM_MODEL,
    messages: hello,
    tools: [
      {
        type: 'function',
        function: {
          name: 'weigh',
          description: 'weighs',
          parse: JSON.parse,
          parameters: { type: 'object', properties: { grams: { type: 'integer' } } },
          function: (args: object) => {
            asked.push(args)
            return 'heavy'
          },
        },
      },
    ],
  })
  expect(await runner.finalContent()).toMatch(/^The tool says heavy\./)
  expect(asked).toEqual([{ grams: 7 }])
})

test('an answer fits the schema that was asked for', async () => {
  const Shape = z.object({ name: z.string(), sizes: z.array(z.number()) })
  const request = { model: UPSTREAM_MODEL, messages: hello, response_format: zodResponseFormat(Shape, 'shape') }
  const { choices } = await openai.chat.completions.parse(request)
  expect(choices[0]!.message.parsed).toEqual({ name: 'something', sizes: [7] })
})

test("the agent's own model honours seed, stop and limits", async () => {
  const request = { model: LOCAL_MODEL, messages: hello, seed: 7, max_completion_tokens: 40 }
  const [one, two] = await Promise.all([1, 2].map(() => openai.chat.completions.create(request)))
  const text = one!.choices[0]!.message.content!
  expect(two!.choices[0]!.message.content).toBe(text)
  expect(one!.usage!.completion_tokens).toBe(40)
  expect(one!.choices[0]!.finish_reason).toBe('length')
  const stop = text.slice(10, 13)
  const stopped = await openai.chat.completions.create({ ...request, stop })
  expect(stopped.choices[0]).toMatchObject({
    message: { content: text.slice(0, text.indexOf(stop)) },
    finish_reason: 'stop',
  })
})

test('what a model does not honour is refused, by the name of the field', async () => {
  const tools = [{ type: 'function' as const, function: { name: 'f' } }]
  for (const [param, more] of [
    ['tools', { tools }],
    ['n', { n: 2 }],
    ['response_format', { response_format: { type: 'json_object' as const } }],
    ['logprobs', { logprobs: true }],
  ] as const) {
    const error = await caught(openai.chat.completions.create({ model: LOCAL_MODEL, messages: hello, ...more }))
    expect(error).toBeInstanceOf(BadRequestError)
    expect(error).toMatchObject({ status: 400, code: 'unsupported_parameter', param, type: 'invalid_request_error' })
  }
  const embed = await caught(openai.embeddings.create({ model: EMBEDDER, input: 'x', dimensions: 64 }))
  expect(embed).toMatchObject({ status: 400, code: 'unsupported_parameter', param: 'dimensions' })
})

test('what the model server refuses comes back in its own words', async () => {
  const messages = [{ role: 'user' as const, content: 'please refuse this' }]
  const error = await caught(openai.chat.completions.create({ model: UPSTREAM_MODEL, messages, ...ONCE }))
  expect(error).toMatchObject({ status: 400, code: 'upstream_refused' })
  expect(error.message).toContain('I was told to refuse this')
})

test('a plain completion goes on with its prompts', async () => {
  const request = { model: UPSTREAM_MODEL, prompt: ['Once', 'Twice'], max_tokens: 6, n: 2, echo: true, logprobs: 1 }
  const { choices, usage } = await openai.completions.create(request)
  expect(choices.map(({ index, text }) => [index, text])).toEqual([
    [0, 'OnceOnce And so on, dear friend.'],
    [1, 'OnceOnce And so on, good friend.'],
    [2, 'TwiceTwice And so on, dear friend.'],
    [3, 'TwiceTwice And so on, good friend.'],
  ])
  expect(choices[0]!.logprobs!.tokens!.join('')).toBe('Once And so on, dear friend.')
  expect(usage).toMatchObject({ prompt_tokens: 2, completion_tokens: 24 })
  const chunks: OpenAI.Completion[] = []
  const streaming = { ...request, stream: true as const, stream_options: { include_usage: true } }
  for await (const chunk of await openai.completions.create(streaming)) chunks.push(chunk)
  expect(chunks.slice(0, -1).map((chunk) => chunk.choices[0])).toEqual(choices)
  expect(chunks.at(-1)).toMatchObject({ choices: [], usage })
  const local = await openai.completions.create({ model: LOCAL_MODEL, prompt: 'To be', seed: 1 })
  expect(local.choices[0]!.text.length).toBeGreaterThan(0)
  expect(local.usage!.completion_tokens).toBe(16)
})

test('embeddings of more texts than a task takes come back in order, as floats and in base64', async () => {
  const input = Array.from({ length: 70 }, (_, i) => `text number ${i}`)
  const floats = await openai.embeddings.create({ model: EMBEDDER, input, encoding_format: 'float' })
  expect(floats.data.map(({ index }) => index)).toEqual(input.map((_, i) => i))
  // The client asks for base64 by itself and decodes it.
  const decoded = await openai.embeddings.create({ model: EMBEDDER, input: input[69]! })
  expect(decoded.data[0]!.embedding).toHaveLength(512)
  for (const [i, value] of decoded.data[0]!.embedding.entries())
    expect(value).toBeCloseTo(floats.data[69]!.embedding[i]!, 4)
})

test('models are listed and looked up, and asked for by their digest', async () => {
  const models: OpenAI.Models.Model[] = []
  for await (const model of openai.models.list()) models.push(model)
  expect(models.map(({ id }) => id).sort()).toEqual([LOCAL_MODEL, UPSTREAM_MODEL, EMBEDDER].sort())
  expect(await openai.models.retrieve(UPSTREAM_MODEL)).toMatchObject({
    id: UPSTREAM_MODEL,
    object: 'model',
    context: 8192,
    providers: 1,
    latency: { waitP50Ms: expect.any(Number), runP95Ms: expect.any(Number) },
    capabilities: expect.arrayContaining(['tools', 'json_schema', 'json_object', 'logprobs', 'n', 'raw']),
  })
  const local = (await openai.models.retrieve(LOCAL_MODEL)) as OpenAI.Models.Model & { digests: string[] }
  expect(local).toMatchObject({ quantizations: ['F16'], price: { unit: 'output token' } })

  const exact = `${LOCAL_MODEL}@${local.digests[0]}`
  const answer = await openai.chat.completions.create({ model: exact, messages: hello, max_tokens: 4 })
  expect(answer.model).toBe(exact)
  const other = { model: `${LOCAL_MODEL}@sha256:0`, messages: hello }
  for (const work of [
    () => openai.chat.completions.create(other),
    () => openai.models.retrieve('nobody/has-this'),
    () => openai.chat.completions.create({ model: 'nobody/has-this', messages: hello }),
  ]) {
    const error = await caught(work())
    expect(error).toBeInstanceOf(NotFoundError)
    expect(error).toMatchObject({ code: 'model_not_found', param: 'model' })
  }
})

test('quantisation and context are hard filters', async () => {
  const ask = (requirements: object) =>
    openai.chat.completions.create({
      model: LOCAL_MODEL,
      messages: hello,
      max_tokens: 4,
      ...{ daicn: { requirements } },
    })
  expect((await ask({ minQuantization: 'Q8_0', minContext: 128 })).choices).toHaveLength(1)
  for (const [field, value] of [
    ['minQuantization', 'F32'],
    ['minContext', 129],
  ] as const) {
    const error = await caught(ask({ [field]: value }))
    expect(error).toMatchObject({ status: 503, code: 'no_provider', param: `daicn.requirements.${field}` })
  }
})
