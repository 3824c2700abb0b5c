/** A chat's stream over a real connection, as any OpenAI client reads it, with the time at which each piece came. */
import { eventData } from '../../agent/sse.ts'
import type { Connection } from '../../client/edge.ts'

export type ChatRequest = { model: string; prompt: string; max_tokens: number; temperature?: number }

export type ChatStream = {
  task: string
  prompt: string
  /** What has come so far. */
  text: string
  /** When each piece of content came, `performance.now()`. */
  times: number[]
  error: { code: string; delivered: { tokens: number; characters: number; price: string } } | undefined
  /** Resolves when `count` pieces have come, or the stream has ended. */
  pieces(count: number): Promise<void>
  ended: Promise<void>
  /** Closes the connection. */
  hangUp(): void
}

export async function openChat({ edge, key }: Connection, request: ChatRequest): Promise<ChatStream> {
  const { prompt, ...rest } = request
  const closing = new AbortController()
  const response = await fetch(`${edge}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ ...rest, messages: [{ role: 'user', content: prompt }], stream: true }),
    signal: closing.signal,
  })
  if (!response.ok) throw new Error(`the chat was answered ${response.status}: ${await response.text()}`)
  let stir = () => {}
  const stream: ChatStream = {
    task: response.headers.get('x-daicn-task')!,
    prompt,
    text: '',
    times: [],
    error: undefined,
    async pieces(count) {
      let over = false
      void stream.ended.finally(() => {
        over = true
        stir()
      })
      while (stream.times.length < count && !over) {
        await new Promise<void>((resolve) => {
          stir = resolve
        })
      }
    },
    ended: read(),
    hangUp: () => closing.abort(),
  }

  async function read(): Promise<void> {
    try {
      for await (const data of eventData(response.body!)) {
        if (data === '[DONE]') return
        const { choices, error } = JSON.parse(data)
        if (error) stream.error = error
        const content = choices?.[0]?.delta.content
        if (!content) continue
        stream.text += content
        stream.times.push(performance.now())
        stir()
      }
      throw new Error('the stream broke off')
    } catch (error) {
      if (!closing.signal.aborted) throw error
    }
  }
  return stream
}
