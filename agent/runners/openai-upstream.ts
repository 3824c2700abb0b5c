/** llm.chat by a server that speaks the OpenAI protocol: ollama, vLLM, llama-server and others. */
import { maxTokens, utf8Length } from '#core/pricing.ts'
import type { InputOf } from '#core/protocol.ts'
import { honoured } from '../capability-probe.ts'
import { collectChat } from '../chat-chunks.ts'
import { measure } from '../measure.ts'
import { textOf } from '../prompt.ts'
import { type Probe, type Runner, RunnerError } from '../runner.ts'
import { eventData } from '../sse.ts'

export const kind = 'llm.chat'
type Chat = InputOf<typeof kind>

export type Upstream = {
  /** Origin of the server. */
  url: string
  model: string
  concurrency: number
  apiKey: string | undefined
  /** What the server says of the model. */
  known: Omit<Probe, 'speed'>
}

const PROBE = {
  messages: [{ role: 'user', content: 'Count from one to thirty in words.' }],
  max_tokens: 48,
  temperature: 0,
}
const BYTES_A_TOKEN = 4

export function createUpstreamRunner({ url, model, concurrency, apiKey, known }: Upstream): Runner {
  const run: Runner['run'] = async (input, { signal, onDelta, maxUnits }) => {
    const chat = input as Chat
    const { path, body } = chat.raw ? completionOf(chat) : { path: 'chat/completions', body: chat }
    const response = await fetch(`${url}/v1/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(apiKey ? { authorization: `Bearer ${apiKey}` } : {}) },
      body: JSON.stringify({
        ...body,
        ...limitOf(chat, maxUnits),
        model,
        stream: true,
        stream_options: { include_usage: true },
      }),
      signal,
    }).catch((error: Error) => {
      throw new RunnerError('upstream_unreachable', `the model server does not answer (${error.message})`)
    })
    if (!response.ok || !response.body) throw await refusal(response)
    const { output, usage, pieces } = await collectChat(eventData(response.body), onDelta)
    return {
      output,
      usage: usage ?? {
        inputTokens: Math.ceil(utf8Length(JSON.stringify(chat.messages)) / BYTES_A_TOKEN),
        outputTokens: pieces,
      },
    }
  }

  return {
    kind,
    model,
    concurrency,
    load: async () => {},
    run,
    async probe(signal) {
      await measure(run, kind, { ...PROBE, max_tokens: 1 }, signal) // the server may load the model first
      const { speed, usage } = await measure(run, kind, PROBE, signal)
      if (usage.outputTokens === 0) throw new RunnerError('wrong_answer', 'the model wrote nothing')
      const capabilities = [...(known.capabilities ?? []), ...(await honoured(run, signal))]
      return { speed, ...known, capabilities }
    },
    close: async () => {},
  }
}

/** The text of a chat's messages, to go on with as it is. */
function completionOf({ messages, raw: _, ...rest }: Chat) {
  return { path: 'completions', body: { ...rest, prompt: messages.map(textOf).join('\n') } }
}

/** No more output tokens than will be paid; the newer name of the field is kept where the requester used it. */
function limitOf(chat: Chat, maxUnits: number) {
  const paid = Math.max(Math.floor(maxUnits / (chat.n ?? 1)), 1)
  const limit = Math.min(maxTokens(chat), paid)
  const isNewer = chat.max_tokens === undefined && chat.max_completion_tokens !== undefined && !chat.raw
  return isNewer ? { max_completion_tokens: limit } : { max_tokens: limit }
}

async function refusal(response: Response): Promise<RunnerError> {
  const body = (await response.json().catch(() => undefined)) as { error?: { message?: string } | string } | undefined
  const message = typeof body?.error === 'string' ? body.error : body?.error?.message
  const code = response.status < 500 ? 'upstream_refused' : 'upstream_failed'
  return new RunnerError(code, `the model server answered ${response.status}: ${message ?? 'no reason given'}`)
}
