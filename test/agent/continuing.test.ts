import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { localRunners } from '#agent/local-runners.ts'
import type { Runner, RunOptions } from '#agent/runner.ts'
import { createUpstreamRunner } from '#agent/runners/openai-upstream.ts'
import { createSeam } from '#agent/seam.ts'
import type { ChatTexts } from '#core/protocol/chat-piece.ts'
import type { Prefix } from '#core/protocol/work.ts'
import { startOpenAiServer } from '../support/openai-server.ts'
import { holds } from '../support/property.ts'

const [llama] = localRunners(['llm.chat'], () => {})
const server = await startOpenAiServer()
const WORDS = ['Once', ' upon', ' a', ' time', '.\n\n', 'There', ' was', ' a', ' market', '.']

beforeAll(() => llama!.load(AbortSignal.timeout(60_000)), 60_000)
beforeEach(() => Object.assign(server.behaviour, { words: WORDS, continues: false, tools: false }))
afterAll(() => Promise.all([llama!.close(), server.close()]))

const signal = AbortSignal.timeout(120_000)
const chat = (content: string, fields = {}) => ({ messages: [{ role: 'user', content }], ...fields })

async function run(runner: Runner, input: unknown, prefix?: Prefix) {
  const deltas: { text: string; tokens: number }[] = []
  const onDelta = (text: string, tokens: number) => void deltas.push({ text, tokens })
  const outcome = await runner.run(input, { signal, onDelta, maxUnits: 200, prefix })
  expect(deltas.map(({ text }) => text).join('')).toBe(outcome.output.content)
  return { ...outcome, deltas }
}

/** The prefix that is there after so many deltas. */
function cutAfter(deltas: { text: string; tokens: number }[], count: number): Prefix {
  const head = deltas.slice(0, count)
  return { text: head.map(({ text }) => text).join(''), tokens: head.reduce((sum, { tokens }) => sum + tokens, 0) }
}

test('llama goes on from wherever it was cut, character by character as if it never had been', async () => {
  const prompts = ['ROMEO:\n', 'What light is this?\n', 'é'.repeat(70), 'KING HENRY:\nOnce more unto the breach']
  for (const [i, prompt] of prompts.entries()) {
    const input = chat(prompt, { max_tokens: 60, temperature: 0 })
    const whole = await run(llama!, input)
    for (let cut = 1 + i; cut < whole.deltas.length; cut += 7) {
      const prefix = cutAfter(whole.deltas, cut)
      const { output, usage } = await run(llama!, input, prefix)
      expect(prefix.text + output.content).toBe(whole.output.content)
      expect(output.finishReason).toBe(whole.output.finishReason)
      expect(usage).toEqual({
        inputTokens: whole.usage.inputTokens,
        outputTokens: whole.usage.outputTokens - prefix.tokens,
      })
    }
  }
})

test('llama writes nothing more when the prefix has used up the tokens', async () => {
  const input = chat('To be', { max_tokens: 20, temperature: 0 })
  const whole = await run(llama!, input)
  const { output, usage } = await run(llama!, input, cutAfter(whole.deltas, whole.deltas.length))
  expect([output, usage.outputTokens]).toEqual([{ content: '', finishReason: 'length' }, 0])
})

/** An upstream that was probed, so that the runner knows whether it goes on by itself. */
async function upstream(continues: boolean): Promise<Runner> {
  server.behaviour.continues = continues
  const runner = createUpstreamRunner({ url: server.url, model: 'm', concurrency: 1, apiKey: undefined, known: {} })
  await runner.probe(signal)
  server.requests.length = 0
  return runner
}

test.each([true, false])('an upstream goes on from every seam (by itself: %s)', async (continues) => {
  const runner = await upstream(continues)
  for (let cut = 1; cut < WORDS.length; cut++) {
    const prefix = { text: WORDS.slice(0, cut).join(''), tokens: cut }
    const { output } = await run(runner, chat('tell', { max_tokens: 50 }), prefix)
    expect(prefix.text + output.content).toBe(WORDS.join(''))
    const { messages, max_tokens, continue_final_message } = server.requests.at(-1)!.body as Record<string, unknown>
    // White space at the end of the prefix is written again.
    const again = prefix.text.length - prefix.text.trimEnd().length
    expect([max_tokens, continue_final_message]).toEqual(continues ? [50 - cut + again, true] : [50, undefined])
    expect(messages).toHaveLength(continues ? 2 : 1)
  }
})

test('the tokens of the prefix are not counted again, as input or as output', async () => {
  const prefix = { text: 'Once upon', tokens: 2 }
  const goingOn = await run(await upstream(true), chat('tell'), prefix)
  expect(goingOn.usage).toEqual({ inputTokens: 5, outputTokens: 10 })
  const again = await run(await upstream(false), chat('tell'), prefix)
  expect(again.usage).toEqual({ inputTokens: 7, outputTokens: 8 })
})

test('an upstream that writes another text than what was delivered says so, and delivers none of it', async () => {
  const runner = await upstream(false)
  for (const text of ['Once there', 'Once upon a time.\n\nThere was a market. And more']) {
    const deltas: string[] = []
    const onDelta = (delta: string) => void deltas.push(delta)
    const running = runner.run(chat('tell'), { signal, onDelta, maxUnits: 200, prefix: { text, tokens: 3 } })
    await expect(running).rejects.toMatchObject({ code: 'cannot_continue' })
    expect(deltas).toEqual([])
  }
})

test.each([{ tools: [{}] }, { response_format: { type: 'json_object' } }])(
  'what would begin anew in the middle is written again from the start: %j',
  async (fields) => {
    const runner = await upstream(true)
    const { output } = await run(runner, chat('tell', fields), { text: 'Once upon', tokens: 2 })
    expect(output.content).toBe(WORDS.slice(2).join(''))
    expect(server.requests.at(-1)!.body!.messages).toHaveLength(1)
  },
)

test('a tool call is written again, and told from where it was cut under its first name; another call is not gone on with', async () => {
  const runner = await upstream(true)
  server.behaviour.tools = true
  const told: unknown[] = []
  const onDelta: RunOptions['onDelta'] = (...piece) => told.push(piece)
  const run = (beside: ChatTexts) =>
    runner.run(chat('tell', { tools: [{}] }), {
      signal,
      onDelta,
      maxUnits: 200,
      prefix: { text: '', tokens: 2, beside },
    })
  const name = { '0.tool_calls.0.id': 'call_0', '0.tool_calls.0.name': 'add' }
  const { output, usage } = await run({ ...name, '0.tool_calls.0.arguments': '{"a' })
  expect(told).toEqual([
    ['', 1, { index: 0, tool_calls: [{ index: 0, function: { arguments: '":' } }] }],
    ['', 1, { index: 0, tool_calls: [{ index: 0, function: { arguments: '1}' } }] }],
  ])
  expect(output.tool_calls).toMatchObject([{ id: 'call_0', function: { name: 'add', arguments: '{"a":1}' } }])
  expect(usage.outputTokens).toBe(WORDS.length - 2)
  told.length = 0
  for (const differing of ['{"b', '{"a":1} and more'])
    await expect(run({ ...name, '0.tool_calls.0.arguments': differing })).rejects.toMatchObject({
      code: 'cannot_continue',
    })
  expect(told).toEqual([])
})

test('a prefix that has used up the tokens needs no upstream', async () => {
  const runner = await upstream(true)
  const { output } = await run(runner, chat('tell', { max_tokens: 2 }), { text: 'Once upon', tokens: 2 })
  expect(output).toEqual({ content: '', finishReason: 'length' })
  expect(server.requests).toEqual([])
})

test('however a text is cut into pieces, a seam lets through what follows the known part, once', () => {
  holds(
    fc.property(fc.array(fc.string({ minLength: 1, maxLength: 5 })), fc.nat(), (pieces, at) => {
      const whole = pieces.join('')
      const known = whole.slice(0, at % (whole.length + 1))
      let told = ''
      const seam = createSeam(known, (text) => (told += text), Number.POSITIVE_INFINITY)
      for (const piece of pieces) seam.push(piece, 1)
      expect([told, seam.rest()]).toEqual([whole.slice(known.length), whole.slice(known.length)])
    }),
  )
})
