/**
 * HTTP by Node's own client. `fetch` would bring another one: with it an idle agent takes some 18 MB more, and each call more time.
 */
import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'

export type Call = { method?: string; headers?: Record<string, string>; body?: string | undefined; signal: AbortSignal }

/** Its body can be read once. */
export type Answer = {
  ok: boolean
  status: number
  header: (name: string) => string | undefined
  body: AsyncIterable<Uint8Array>
  /** Undefined for what is not JSON. */
  json: () => Promise<unknown>
}

/** How long the rest of a body that nobody reads on may take, after which its connection is closed. */
const REST_MS = 1000

/** Rejects when nobody answers, or with the signal's reason, which also ends a body that is being read. */
export function call(url: string, { method = 'GET', headers = {}, body, signal }: Call): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  let message: IncomingMessage | undefined
  const stop = () => {
    reject(signal.reason)
    message?.destroy(signal.reason)
    sent.destroy()
  }
  const request = url.startsWith('https:') ? requestHttps : requestHttp
  const sent = request(url, { method, headers }, (answered) => {
    message = answered
    resolve(answerOf(answered))
  })
  sent.on('error', reject)
  sent.once('close', () => signal.removeEventListener('abort', stop))
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  else sent.end(body)
  return promise
}

function answerOf(message: IncomingMessage): Answer {
  // Whoever reads is told by the reading; a call may also be ended when nobody reads any more.
  message.on('error', () => {})
  const status = message.statusCode ?? 0
  const body = bodyOf(message)
  return {
    ok: status >= 200 && status < 300,
    status,
    header: (name) => message.headers[name]?.toString(),
    body,
    async json() {
      const chunks: Uint8Array[] = []
      for await (const chunk of body) chunks.push(chunk)
      try {
        return JSON.parse(Buffer.concat(chunks).toString())
      } catch {
        return undefined
      }
    },
  }
}

/** Whoever stops reading has what it wanted: mostly only the end is left, and then the connection is good for another call. */
async function* bodyOf(message: IncomingMessage): AsyncGenerator<Uint8Array> {
  try {
    yield* message.iterator({ destroyOnReturn: false })
  } finally {
    if (!message.readableEnded) {
      const late = setTimeout(() => message.destroy(), REST_MS).unref()
      message.once('close', () => clearTimeout(late)).resume()
    }
  }
}
