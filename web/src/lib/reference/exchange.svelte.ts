import type { Call } from './call.ts'

/** Those headers of an answer that a person acts on. */
const TELLING = ['content-type', 'location', 'retry-after', 'x-request-id', 'x-daicn-task']

type Answer = { status: number; reason: string; ms: number; headers: [name: string, value: string][]; body: string }

/** One call at a time, and what came back of the last one. */
export function createExchange() {
  let answer = $state<Answer | null>(null)
  let fault = $state('')
  let stop = $state.raw<AbortController | null>(null)

  function append(text: string) {
    if (answer) answer.body += text
  }

  async function send({ url, ...init }: Call, key: string) {
    const mine = new AbortController()
    stop = mine
    answer = null
    fault = ''
    const from = performance.now()
    const headers = { ...init.headers, ...(key && { authorization: `Bearer ${key}` }) }
    try {
      const response = await fetch(url, { ...init, headers, credentials: 'omit', signal: mine.signal })
      answer = { status: response.status, reason: response.statusText, ms: 0, headers: telling(response), body: '' }
      const type = response.headers.get('content-type') ?? ''
      // Events are shown as they come.
      if (type.startsWith('text/event-stream')) await follow(response, append)
      else answer.body = pretty(await response.text(), type)
    } catch (error) {
      if (!mine.signal.aborted) fault = `The call did not come through: ${(error as Error).message}.`
    }
    if (answer) answer.ms = performance.now() - from
    stop = null
  }

  return {
    get answer() {
      return answer
    },
    get fault() {
      return fault
    },
    get busy() {
      return stop !== null
    },
    send,
    /** Leaves what has come. */
    stop: () => stop?.abort(),
  }
}

const telling = ({ headers }: Response): [string, string][] =>
  TELLING.flatMap((name) => {
    const value = headers.get(name)
    return value === null ? [] : [[name, value]]
  })

async function follow(response: Response, take: (text: string) => void) {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) take(part.value)
}

function pretty(text: string, type: string): string {
  if (!type.includes('json')) return text
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}
