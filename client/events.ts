import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { retryDelay } from '#core/backoff.ts'
import type { TaskView, WatchEvent } from '#core/protocol/task.ts'
import type { OutputOf } from '#core/protocol/work.ts'
import { type Connection, isPassing, lost, pause, send } from './edge.ts'
import { missing } from './error.ts'

/** A connection that says nothing for so long is taken as dead and opened again; nothing is lost by that. */
const SILENCE_MS = 60_000
/** Losses in a row, with nothing heard in between, after which it is given up. */
const LOSSES = 8

type WatchOutput = Extract<WatchEvent, { type: 'output' }>

/**
 * What happens to a task, from its beginning to its end, over as many connections as it takes: each resumes where the one
 * before broke off. Ends after the event `done`.
 */
export async function* watch(connection: Connection, id: string, signal?: AbortSignal): AsyncGenerator<WatchEvent> {
  let cursor = ''
  /** Text of the attempt that is told at present. */
  let own = { attempt: 0, next: 0, text: '' }
  for (let losses = 0; ; losses++) {
    try {
      for await (const { event, id: seen, data } of listen(connection, id, cursor, signal)) {
        losses = 0
        if (seen !== undefined) cursor = seen
        const told = { type: event, ...JSON.parse(data) } as WatchEvent
        if (told.type === 'output') own = after(own, told)
        if (told.type === 'done') {
          const rest = untold(own, told.task)
          if (rest) yield rest
        }
        yield told
        if (told.type === 'done') return
      }
      throw missing('unreachable', `${connection.edge} ended the stream early`)
    } catch (error) {
      if (losses === LOSSES || !isPassing(error)) throw error
      await pause(Math.max(retryDelay(losses, Math.random()), error.retryAfterMs ?? 0), signal)
    }
  }
}

type Told = { attempt: number; next: number; text: string }

function after(own: Told, { attempt, index, offset, delta }: WatchOutput): Told {
  return { attempt, next: index + 1, text: own.text.slice(0, offset) + delta }
}

/** A task that ended before anybody watched has its text in its output alone. */
function untold({ attempt, next, text }: Told, task: TaskView): WatchOutput | undefined {
  const last = task.attempts.find(({ state }) => state === 'succeeded')?.number
  if (task.kind !== 'llm.chat' || last === undefined) return undefined
  const content = (task.output as OutputOf<'llm.chat'>).content ?? ''
  const offset = content.startsWith(text) ? text.length : 0
  const index = offset > 0 && attempt === last ? next : 0
  const delta = content.slice(offset)
  return delta === '' ? undefined : { type: 'output', attempt: last, index, offset, delta }
}

/** The events of one connection. */
async function* listen(
  connection: Connection,
  id: string,
  cursor: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<EventSourceMessage> {
  const silence = new AbortController()
  const give = () => setTimeout(() => silence.abort(missing('timed_out', `${connection.edge} fell silent`)), SILENCE_MS)
  let timer = give()
  const either = signal ? AbortSignal.any([signal, silence.signal]) : silence.signal
  const messages: EventSourceMessage[] = []
  const parser = createParser({ onEvent: (message) => messages.push(message) })
  try {
    const response = await send(connection, 'GET', `/v1/tasks/${encodeURIComponent(id)}/events`, {
      headers: { accept: 'text/event-stream', ...(cursor !== '' && { 'last-event-id': cursor }) },
      signal: either,
    })
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    try {
      for (;;) {
        const { done, value } = await reader.read().catch((error) => {
          throw lost(connection, error, either)
        })
        if (done) return
        clearTimeout(timer)
        timer = give()
        parser.feed(value)
        yield* messages.splice(0)
      }
    } finally {
      await reader.cancel().catch(() => {})
    }
  } finally {
    clearTimeout(timer)
  }
}
