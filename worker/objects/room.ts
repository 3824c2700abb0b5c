/** What is known of one task that streams or is watched, and what of it a watcher is told next. */
import type { TaskView, WatchEvent } from '#core/protocol/task.ts'
import type { OutputOf } from '#core/protocol/work.ts'
import { type OutputLog, offsetOf, openLog, type Start, textOf } from './output-log.ts'

/**
 * How far a watcher was told: outputs of `attempt` below `index`, and of the task's text what comes before `offset`, null when
 * that is not known. Of the `window` of outputs that it takes before it must ask for more, `left` were not sent yet, so that one
 * that does not read fills no memory. `checks`: it asks by itself whether the task is over.
 */
export type Watcher = {
  role: 'watcher'
  task: string
  attempt: number
  index: number
  offset: number | null
  window: number
  left: number
  checks: boolean
}

type Status = Extract<WatchEvent, { type: 'status' }>

/** What was told last: the outputs from one index on, of so many as there were. */
type Said = { log: OutputLog; from: number; until: number; next: number; text: string }

export type Room = {
  task: string
  /** By attempt, in order. */
  logs: Map<number, OutputLog>
  /** Attempts up to this one may tell nothing more. */
  sealed: number
  status: Status | null
  said: Said | null
  /** When watchers were told last; whether they soon will be. */
  toldAt: number
  telling: boolean
  heardAt: number
}

export const openRoom = (task: string, heardAt: number): Room => ({
  task,
  logs: new Map(),
  sealed: 0,
  status: null,
  said: null,
  toldAt: 0,
  telling: false,
  heardAt,
})

/** @param query `after=<attempt>.<index>`, `window`, `checks` */
export function watcherOf(room: Room, query: URLSearchParams): Watcher {
  const { attempt, index } = parseCursor(query.get('after') ?? '')
  const log = room.logs.get(attempt)
  const offset = attempt === 0 ? 0 : log ? offsetOf(log, index) : null
  const window = Number(query.get('window'))
  const checks = query.has('checks')
  return { role: 'watcher', task: room.task, attempt, index, offset, window, left: window, checks }
}

export function logOf(room: Room, attempt: number, start: Start): OutputLog {
  const known = room.logs.get(attempt)
  if (known) return known
  const log = openLog(start)
  // Attempts nearly always come in order; one that is late after the memory was lost must not be told after the others.
  room.logs = new Map([...room.logs, [attempt, log] as const].sort(([x], [y]) => x - y))
  return log
}

/**
 * Tells a watcher what it was not told yet, as far as it can take it. Texts that nothing comes beside are told in one output, which has
 * the index of the last.
 */
export function catchUp(room: Room, socket: WebSocket): void {
  let watcher = socket.deserializeAttachment() as Watcher
  for (const [attempt, log] of room.logs) {
    if (attempt < watcher.attempt || log.deltas.length === 0) continue
    if (attempt > watcher.attempt) watcher = { ...watcher, attempt, index: 0 }
    while (watcher.index < log.deltas.length && watcher.left > 0) {
      const { text, next } = outputFrom(room, attempt, log, watcher.index)
      sendText(socket, text)
      watcher = { ...watcher, index: next, offset: offsetOf(log, next), left: watcher.left - 1 }
    }
    if (watcher.left === 0) break
  }
  socket.serializeAttachment(watcher satisfies Watcher)
}

/** An output as it is sent: the same to every watcher, so that it is made once for all who are as far. */
function outputFrom(room: Room, attempt: number, log: OutputLog, from: number): Said {
  if (room.said?.log !== log || room.said.from !== from || room.said.until !== log.deltas.length) {
    const beside = log.beside.get(from)
    let next = from + 1
    if (!beside) while (next < log.deltas.length && !log.beside.has(next)) next++
    const event: WatchEvent = {
      type: 'output',
      attempt,
      index: next - 1,
      offset: offsetOf(log, from)!,
      delta: log.deltas.slice(from, next).join(''),
      ...(beside && { beside: beside.piece, besideOffset: beside.offset }),
    }
    room.said = { log, from, until: log.deltas.length, next, text: JSON.stringify(event) }
  }
  return room.said
}

/** Tells the end. The result may overtake the last of the output on its way here: what is missing of the text is in the result. */
export function complete(room: Room, watchers: WebSocket[], task: TaskView): void {
  for (const socket of watchers) {
    const watcher = socket.deserializeAttachment() as Watcher
    socket.serializeAttachment({ ...watcher, left: Number.POSITIVE_INFINITY } satisfies Watcher)
    catchUp(room, socket)
  }
  for (const socket of watchers) tellRest(room, socket, task)
  for (const socket of watchers) send(socket, { type: 'done', task })
}

function tellRest(room: Room, socket: WebSocket, task: TaskView): void {
  const attempt = task.attempts.find(({ state }) => state === 'succeeded')?.number
  if (attempt === undefined || task.kind !== 'llm.chat') return
  const content = (task.output as OutputOf<'llm.chat'>).content ?? ''
  const log = room.logs.get(attempt)
  if (log && content.slice(log.start.offset, log.end) !== textOf(log)) return
  const watcher = socket.deserializeAttachment() as Watcher
  const offset = watcher.offset ?? (log && watcher.index <= log.deltas.length ? log.end : content.length)
  const delta = content.slice(offset)
  const index = watcher.attempt === attempt ? watcher.index : 0
  if (delta !== '') send(socket, { type: 'output', attempt, index, offset, delta })
}

export function statusOf({ status, createdAt, attempts }: TaskView): Status {
  const open = attempts.find(({ state }) => state === 'granted' || state === 'started')
  if (!open) return { type: 'status', status, at: createdAt }
  return { type: 'status', status, at: open.grantedAt, attempt: open.number, provider: open.provider }
}

export function send(socket: WebSocket, event: WatchEvent): void {
  sendText(socket, JSON.stringify(event))
}

function sendText(socket: WebSocket, text: string): void {
  if (socket.readyState === WebSocket.OPEN) socket.send(text)
}

/** `<attempt>.<index>`; anything else is the beginning. */
function parseCursor(after: string): { attempt: number; index: number } {
  const [, attempt = 0, index = 0] = /^(\d{1,9})\.(\d{1,9})$/.exec(after) ?? []
  return { attempt: Number(attempt), index: Number(index) }
}
