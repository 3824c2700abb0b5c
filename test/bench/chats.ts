/** Streamed chats over kept connections, read no further than the clock needs: the client shares the machine with what it measures. */
import { Agent, request } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { median } from './load.ts'

/** Milliseconds: from the request to the first token, and from there on between tokens. */
export type Chat = { first: number; token: number }
/** Medians of the chats that began in the measured window. */
export type Chats = Chat & { count: number }

export type Target = { url: string; apiKey?: string }
export type Plan = {
  model: string
  streams: number
  tokens: number
  /** How long a chat takes about: the streams begin spread over this. */
  chatMs: number
  warmSeconds: number
  seconds: number
}

/** So many streams at once, each chat after the other. */
export async function driveChats({ url, apiKey }: Target, plan: Plan): Promise<Chats> {
  const { model, streams, tokens, chatMs, warmSeconds, seconds } = plan
  const agent = new Agent({ keepAlive: true })
  const messages = [{ role: 'user', content: 'Go on.' }]
  const body = JSON.stringify({ model, messages, max_tokens: tokens, stream: true })
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
  }
  const target = new URL('/v1/chat/completions', url)
  const from = performance.now() + warmSeconds * 1000
  const until = from + seconds * 1000
  const chats: Chat[] = []
  await Promise.all(
    Array.from({ length: streams }, async (_, i) => {
      await wait((i / streams) * chatMs)
      for (let begun = performance.now(); begun < until; begun = performance.now()) {
        const times = await chat()
        const [first, last] = [times[0]!, times.at(-1)!]
        if (begun >= from) chats.push({ first: first - begun, token: (last - first) / (tokens - 1) })
      }
    }),
  )
  agent.destroy()
  return {
    first: median(chats.map(({ first }) => first)),
    token: median(chats.map(({ token }) => token)),
    count: chats.length,
  }

  /** @returns when each token came */
  function chat(): Promise<number[]> {
    return new Promise((resolve, reject) => {
      const sent = request(target, { method: 'POST', agent, headers }, (response) => {
        if (response.statusCode !== 200) reject(new Error(`a chat was answered ${response.statusCode}`))
        const times: number[] = []
        let failure = 'broke off'
        let rest = ''
        response.setEncoding('latin1')
        response.on('data', (text: string) => {
          const now = performance.now()
          const lines = (rest + text).split('\n')
          rest = lines.pop()!
          for (const line of lines) {
            if (TOKEN.test(line)) times.push(now)
            else if (line.includes('"error"')) failure = line
          }
        })
        response.on('end', () => {
          if (times.length === tokens) resolve(times)
          else reject(new Error(`a chat had ${times.length} of ${tokens} tokens: ${failure}`))
        })
        response.on('error', reject)
      })
      sent.on('error', reject)
      sent.end(body)
    })
  }
}

/** A chunk with text; the first one of a chat may have none. */
const TOKEN = /"content":"[^"]/
