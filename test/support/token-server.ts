/**
 * A small deterministic OpenAI-compatible streaming server: the same prompt gives the same tokens, one every `tokenMs`, and it
 * goes on with an assistant's message as vLLM does. As a program it serves until it is killed and prints its URL.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Program, startProgram } from '../../scripts/process.ts'

export const MODEL = 'tokens'
export const PROMPT_TOKENS = 12

const SYLLABLES = ['ba', 'do', 'ki', 'lu', 'me', 'no', 'ra', 'su', 'ti', 'vo']

/** The tokens that follow a prompt: words with their space, now and then a line's end. */
export function tokensFor(prompt: string, count: number): string[] {
  let state = 2166136261
  for (const char of prompt) state = Math.imul(state ^ char.codePointAt(0)!, 16777619)
  return Array.from({ length: count }, (_, i) => {
    state = Math.imul(state ^ i, 16777619)
    const n = state >>> 8
    const word = SYLLABLES[n % 10]! + SYLLABLES[(n >>> 4) % 10]!
    return i === 0 ? word : n % 17 === 0 ? '\n' : ` ${word}`
  })
}

type ChatBody = { messages: { role: string; content: string }[]; max_tokens: number; continue_final_message?: boolean }

export async function startTokenServer({ tokenMs, port = 0 }: { tokenMs: number; port?: number }) {
  /** Prompts being answered, and when each that was broken off by its client was. */
  const active = new Set<string>()
  const aborted = new Map<string, number>()

  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    if (request.url === '/v1/models') {
      response.end(JSON.stringify({ object: 'list', data: [{ id: MODEL, owned_by: 'vllm', max_model_len: 100_000 }] }))
      return
    }
    if (request.url !== '/v1/chat/completions') {
      response.writeHead(404).end()
      return
    }
    const { messages, max_tokens, continue_final_message, ...more } = JSON.parse(body) as ChatBody
    // As a server does that has no grammars: whoever tries them out need not wait for hundreds of tokens.
    if ('tools' in more || 'response_format' in more) {
      response.writeHead(400).end()
      return
    }
    const prompt = messages.findLast(({ role }) => role === 'user')!.content
    const given = continue_final_message ? messages.at(-1)!.content.trimEnd() : ''
    active.add(prompt)
    response.on('close', () => {
      active.delete(prompt)
      if (!response.writableFinished) aborted.set(prompt, Date.now())
    })
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const send = (value: object) =>
      response.write(`data: ${JSON.stringify({ object: 'chat.completion.chunk', ...value })}\n\n`)
    let written = 0
    let skip = given.length
    for (const token of tokensFor(prompt, max_tokens + given.length)) {
      const text = token.slice(skip)
      skip = Math.max(skip - token.length, 0)
      if (text === '') continue
      if (written === max_tokens || response.destroyed) break
      if (written > 0 && tokenMs > 0) await wait(tokenMs)
      send({ choices: [{ index: 0, delta: { content: text }, finish_reason: null }] })
      written++
    }
    send({ choices: [{ index: 0, delta: {}, finish_reason: 'length' }] })
    const prompt_tokens = PROMPT_TOKENS + (given === '' ? 0 : tokensIn(prompt, given))
    send({ choices: [], usage: { prompt_tokens, completion_tokens: written } })
    response.end('data: [DONE]\n\n')
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    active,
    aborted,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** How many tokens a text is that begins what follows the prompt; white space may be missing at its end. */
function tokensIn(prompt: string, text: string): number {
  let count = 0
  let left = text.length
  for (const token of tokensFor(prompt, text.length)) {
    if (left <= 0) break
    left -= token.length
    count++
  }
  return count
}

/** The same as a process of its own. */
export async function spawnTokenServer(tokenMs: number): Promise<{ url: string; program: Program }> {
  const program = startProgram(fileURLToPath(import.meta.url), [String(tokenMs)])
  const url = await new Promise<string>((resolve) => program.onLine(resolve))
  return { url, program }
}

if (import.meta.main) console.log((await startTokenServer({ tokenMs: Number(process.argv[2]) })).url)
