/**
 * A model server for tests, as a program of its own: `node test/support/upstream-process.ts` prints one line of JSON when it
 * listens. It speaks the OpenAI protocol as vLLM does. Its model writes the same text for the same request, and honours what
 * it is asked for: tools, schemas, stop, seed, length, several choices, log probabilities.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inRoot } from '../../scripts/paths.ts'
import { startProgram } from '../../scripts/process.ts'

export const UPSTREAM_MODEL = 'test/parrot'

/** Starts it. @returns where it listens, and how to end it */
export async function startUpstreamProcess(log: string): Promise<{ url: string; stop: () => Promise<void> }> {
  const program = startProgram(inRoot('test/support/upstream-process.ts'), [], { log })
  const url = await Promise.race([
    new Promise<string>((resolve) => program.onLine((line) => resolve((JSON.parse(line) as { url: string }).url))),
    program.ended.then((code) => Promise.reject(new Error(`the upstream ended with code ${code}; see ${log}`))),
  ])
  return { url, stop: () => program.stop() }
}

type Schema = { type?: string; enum?: unknown[]; properties?: Record<string, Schema>; items?: Schema }
type Tool = { function: { name: string; parameters?: Schema } }
type Message = { role: string; content?: string | { text?: string }[] | null }
type Body = {
  model: string
  messages?: Message[]
  prompt?: string
  max_tokens?: number
  stop?: string | string[]
  seed?: number
  n?: number
  logprobs?: boolean | number
  top_logprobs?: number
  tools?: Tool[]
  tool_choice?: string | Tool
  response_format?: { type: string; json_schema?: { schema: Schema } }
  stream?: boolean
}
type Choice = { text: string; tool?: { name: string; arguments: string }; finish: string }

const textOf = ({ content }: Message): string =>
  typeof content === 'string' ? content : (content ?? []).map(({ text = '' }) => text).join('')

/** Whole words with the space that follows: the tokens of this model. */
const tokensOf = (text: string): string[] => text.match(/\S+\s*|\s+/g) ?? []

/** Something that fits a schema. */
function instanceOf(schema: Schema): unknown {
  if (schema.enum) return schema.enum[0]
  switch (schema.type) {
    case 'object':
      return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, of]) => [name, instanceOf(of)]))
    case 'array':
      return [instanceOf(schema.items ?? {})]
    case 'integer':
    case 'number':
      return 7
    case 'boolean':
      return true
    default:
      return 'something'
  }
}

function toolCalled({ tools = [], tool_choice = 'auto', messages = [] }: Body): Choice['tool'] {
  if (tools.length === 0 || tool_choice === 'none' || messages.at(-1)?.role === 'tool') return undefined
  const named = typeof tool_choice === 'object' ? tool_choice.function.name : tools[0]!.function.name
  const tool = tools.find(({ function: { name } }) => name === named)!
  return { name: named, arguments: JSON.stringify(instanceOf(tool.function.parameters ?? { type: 'object' })) }
}

function write(body: Body, index: number): Choice {
  const tool = toolCalled(body)
  if (tool) return { text: '', tool, finish: 'tool_calls' }
  const { messages = [], response_format: format, seed = 0 } = body
  const last = messages.at(-1)
  let text = body.prompt ?? `You said: ${last ? textOf(last) : ''}`
  if (last?.role === 'tool') text = `The tool says ${textOf(last)}.`
  text += ` And so on, ${['dear', 'good', 'old'][(seed + index) % 3]} friend.`
  if (format?.type === 'json_schema') text = JSON.stringify(instanceOf(format.json_schema!.schema))
  if (format?.type === 'json_object') text = JSON.stringify({ text })
  const stops = [body.stop ?? []].flat().map((stop) => text.indexOf(stop))
  const stopped = Math.min(...stops.filter((at) => at >= 0), text.length)
  const tokens = tokensOf(text.slice(0, stopped))
  const limit = body.max_tokens ?? 1000
  return { text: tokens.slice(0, limit).join(''), finish: tokens.length > limit ? 'length' : 'stop' }
}

function logprobsOf(body: Body, token: string, offset: number) {
  if (body.logprobs === undefined || body.logprobs === false) return null
  const bytes = [...Buffer.from(token)]
  const best = { token, logprob: -0.25, bytes }
  if (body.prompt !== undefined)
    return { tokens: [token], token_logprobs: [-0.25], top_logprobs: [{ [token]: -0.25 }], text_offset: [offset] }
  return { content: [{ ...best, top_logprobs: body.top_logprobs ? [best] : [] }] }
}

function* chunksOf(body: Body): Generator<object> {
  const choices = Array.from({ length: body.n ?? 1 }, (_, index) => write(body, index))
  const plain = body.prompt !== undefined
  for (const [index, { text, tool, finish }] of choices.entries()) {
    const chunk = (delta: object, logprobs: object | null = null, finish_reason: string | null = null) => ({
      choices: [{ index, ...(plain ? delta : { delta }), logprobs, finish_reason }],
    })
    let offset = 0
    for (const token of tokensOf(text)) {
      yield chunk(plain ? { text: token } : { content: token }, logprobsOf(body, token, offset))
      offset += token.length
    }
    if (tool) {
      const call = { index: 0, id: `call_${index}`, type: 'function' }
      yield chunk({ tool_calls: [{ ...call, function: { name: tool.name, arguments: '' } }] })
      for (const piece of tool.arguments.match(/.{1,5}/gs) ?? [])
        yield chunk({ tool_calls: [{ index: 0, function: { arguments: piece } }] })
    }
    yield chunk(plain ? { text: '' } : {}, null, finish)
  }
  const read = body.prompt ?? (body.messages ?? []).map(textOf).join(' ')
  const written = choices.map(({ text, tool }) => text + (tool?.arguments ?? '')).join(' ')
  yield {
    choices: [],
    usage: { prompt_tokens: tokensOf(read).length, completion_tokens: tokensOf(written).length },
  }
}

async function serve(): Promise<void> {
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const part of request) text += part
    const json = (status: number, value: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    if (request.url === '/v1/models')
      return json(200, { object: 'list', data: [{ id: UPSTREAM_MODEL, owned_by: 'vllm', max_model_len: 8192 }] })
    if (!/^\/v1\/(chat\/)?completions$/.test(request.url!)) return json(404, { error: { message: 'not here' } })
    const body = JSON.parse(text) as Body
    if (text.includes('refuse this')) return json(400, { error: { message: 'I was told to refuse this' } })
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (const chunk of chunksOf(body)) response.write(`data: ${JSON.stringify(chunk)}\n\n`)
    return response.end('data: [DONE]\n\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  console.log(JSON.stringify({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }))
}

if (import.meta.main) await serve()
