import { DurableObject } from 'cloudflare:workers'
import { OutputFrame } from '#core/protocol/lease.ts'
import { isEnded, type TaskView, type WatchEvent } from '#core/protocol/task.ts'
import type { OutputOf, Prefix } from '#core/protocol/work.ts'
import { parseTaskId } from '#core/task-id.ts'
import { type Env, type Network, networkOf } from '../env.ts'
import { logError } from '../log.ts'
import { used } from '../usage.ts'
import { addDeltas, deliveredOf, type OutputLog, offsetOf, openLog, type Start, textOf } from './output-log.ts'

/** How often a room asks the market whether it missed the end, for watchers that do not ask it to. */
const CHECK_MS = 15_000

/**
 * How far a watcher was told: outputs of `attempt` below `index`, and of the task's text what comes before `offset`, null when
 * that is not known. A Worker that watches for somebody names its `window`: how many further outputs it wants before it asks
 * for more, of which `left` were not sent yet. And it asks by itself whether the task is over.
 */
type Watcher = {
  role: 'watcher'
  attempt: number
  index: number
  offset: number | null
  window: number | null
  left: number
}
type Status = Extract<WatchEvent, { type: 'status' }>
type Agent = { role: 'agent'; attempt: number; start: Start }
type Session = Watcher | Agent

/**
 * Where the output of one task meets its watchers. The log is in memory only: until the task ends its agent holds the same
 * log and sends again what the room asks for, and afterwards the market has the whole output. How far each watcher was told
 * stays with its socket, which outlives the log, so that it hears everything once.
 *
 * The market seals the room when an attempt ends without a result. What watchers were told until then is what the attempt is
 * paid for and what the next one goes on from, so nothing of it or of earlier ones may be told afterwards.
 */
export class TaskRoom extends DurableObject<Env> {
  private readonly network: Network
  /** By attempt, in order. */
  private logs = new Map<number, OutputLog>()
  private sealed = 0
  private status: Status | null = null
  private done: TaskView | null = null
  private said: { log: OutputLog; index: number; text: string } | null = null

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.network = networkOf(env)
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('ping', 'pong'))
  }

  /** A watcher (`?after=<attempt>.<index>&window=N`) or an agent (`?attempt=N&offset=K&besideOffset=L`); the Worker has checked who it is. */
  override async fetch(request: Request): Promise<Response> {
    const { searchParams } = new URL(request.url)
    const { 0: client, 1: server } = new WebSocketPair()
    const attempt = Number(searchParams.get('attempt'))
    if (attempt > 0) {
      const [offset, besideOffset] = ['offset', 'besideOffset'].map((name) => Number(searchParams.get(name)))
      const start = { offset: offset!, besideOffset: besideOffset! }
      this.ctx.acceptWebSocket(server, ['agent'])
      server.serializeAttachment({ role: 'agent', attempt, start } satisfies Session)
      server.send(JSON.stringify({ next: this.log(attempt, start).deltas.length }))
      if (attempt <= this.sealed) server.close(1000, 'sealed')
    } else {
      const task = this.done ?? (this.status ? null : await this.ask())
      this.ctx.acceptWebSocket(server, ['watcher'])
      const window = Number(searchParams.get('window')) || null
      const watcher: Watcher = {
        role: 'watcher',
        ...parseCursor(searchParams.get('after') ?? ''),
        offset: null,
        window,
        left: window ?? Number.POSITIVE_INFINITY,
      }
      await this.welcome(server, watcher, this.done ?? task)
    }
    return new Response(null, { status: 101, webSocket: client })
  }

  /** From the market: the task changed. */
  tell(event: WatchEvent): void {
    if (this.done) return
    if (event.type === 'status') {
      if (this.status?.status === event.status && this.status.attempt === event.attempt) return
      this.status = event
    }
    if (event.type === 'done') this.complete(event.task)
    this.broadcast(event)
    if (event.type === 'done') this.close()
  }

  /** From the market: the attempt is over. @returns all that watchers were or will be told of it, from now on the same */
  seal(attempt: number): Prefix {
    this.sealed = Math.max(this.sealed, attempt)
    for (const socket of this.ctx.getWebSockets('agent')) {
      if ((socket.deserializeAttachment() as Agent).attempt <= this.sealed) socket.close(1000, 'sealed')
    }
    const log = this.logs.get(attempt)
    return log ? deliveredOf(log) : { text: '', tokens: 0 }
  }

  /** From an agent: more of an attempt's output, which begins at `start`. @returns the index wanted next */
  append(attempt: number, start: Start, frame: OutputFrame): { next: number } {
    const log = this.log(attempt, start)
    if (attempt > this.sealed && !this.done && addDeltas(log, frame)) {
      for (const socket of this.ctx.getWebSockets('watcher')) this.catchUp(socket)
    }
    return { next: log.deltas.length }
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const session = socket.deserializeAttachment() as Session
    // What was on its way when we closed the socket still comes.
    if (this.done || typeof message !== 'string' || socket.readyState !== WebSocket.OPEN) return
    if (session.role === 'watcher') {
      if (message === 'check') return void (await this.check())
      if (session.window === null) return
      socket.serializeAttachment({ ...session, left: session.window } satisfies Session)
      return this.catchUp(socket)
    }
    const { attempt, start } = session
    if (message === 'next') return socket.send(JSON.stringify({ next: this.log(attempt, start).deltas.length }))
    const frame = OutputFrame.safeParse(safeJson(message))
    if (!frame.success) return socket.close(1003, 'not an output frame')
    const { next } = this.append(attempt, start, frame.data)
    // Words cost as much as tokens do: nothing is said to a frame that came as it should.
    if (next < frame.data.from) socket.send(JSON.stringify({ next }))
  }

  override async webSocketClose(socket: WebSocket, _code: number, _reason: string, wasClean: boolean): Promise<void> {
    socket.close()
    if (!wasClean) await this.brokeOff(socket)
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    await this.brokeOff(socket)
  }

  /** An agent's socket that nobody closed may mean that its provider is gone. */
  private async brokeOff(socket: WebSocket): Promise<void> {
    const session = socket.deserializeAttachment() as Session
    if (session.role !== 'agent' || session.attempt <= this.sealed || this.done) return
    const id = this.ctx.id.name!
    await this.market()
      .outputBrokeOff(id, session.attempt)
      .catch((error) => logError('broke_off_failed', error, { task: id }))
  }

  /** The end of a task is told once; should that be lost, the room asks. */
  override async alarm(): Promise<void> {
    if (this.done || this.ctx.getWebSockets('watcher').length === 0) return
    if (!(await this.check())) await this.checkLater()
  }

  /** @returns whether the task is over */
  private async check(): Promise<boolean> {
    const task = await this.ask()
    const isOver = !task || isEnded(task.status)
    if (isOver) this.finish(task)
    return isOver
  }

  private async welcome(socket: WebSocket, watcher: Watcher, task: TaskView | null): Promise<void> {
    const log = this.logs.get(watcher.attempt)
    const offset = watcher.attempt === 0 ? 0 : log ? offsetOf(log, watcher.index) : null
    socket.serializeAttachment({ ...watcher, offset } satisfies Session)
    if (task && !isEnded(task.status)) this.status ??= statusOf(task)
    if (this.status) send(socket, this.status)
    else if (task) send(socket, statusOf(task))
    this.catchUp(socket)
    if (task && isEnded(task.status)) {
      send(socket, { type: 'done', task })
      socket.close(1000, 'done')
    } else if (watcher.window === null && (await this.ctx.storage.getAlarm()) === null) {
      await this.checkLater()
    }
  }

  private async checkLater(): Promise<void> {
    await this.ctx.storage.setAlarm(Date.now() + CHECK_MS)
    used.room.rowsWritten++
  }

  /** Tells a watcher what it was not told yet, as far as it can take it. */
  private catchUp(socket: WebSocket): void {
    let watcher = socket.deserializeAttachment() as Watcher
    for (const [attempt, log] of this.logs) {
      if (attempt < watcher.attempt || log.deltas.length === 0) continue
      if (attempt > watcher.attempt) watcher = { ...watcher, attempt, index: 0 }
      while (watcher.index < log.deltas.length && watcher.left > 0) {
        const { index } = watcher
        sendText(socket, this.outputText(attempt, log, index))
        watcher = { ...watcher, index: index + 1, offset: offsetOf(log, index + 1), left: watcher.left - 1 }
      }
      if (watcher.left === 0) break
    }
    socket.serializeAttachment(watcher satisfies Session)
  }

  /** An output as it is sent: the same to every watcher, so that it is made once for all who are as far. */
  private outputText(attempt: number, log: OutputLog, index: number): string {
    if (this.said?.log !== log || this.said.index !== index) {
      const event: WatchEvent = {
        type: 'output',
        attempt,
        index,
        offset: offsetOf(log, index)!,
        delta: log.deltas[index]!,
      }
      const beside = log.beside.get(index)
      if (beside) Object.assign(event, { beside: beside.piece, besideOffset: beside.offset })
      this.said = { log, index, text: JSON.stringify(event) }
    }
    return this.said.text
  }

  /** The rest of each attempt in one piece, which takes less than the outputs that a slow watcher was not told yet. */
  private catchUpAtOnce(socket: WebSocket): void {
    let watcher = socket.deserializeAttachment() as Watcher
    // What comes beside a text has no shorter form.
    if ([...this.logs.values()].some(({ beside }) => beside.size > 0)) {
      socket.serializeAttachment({ ...watcher, left: Number.POSITIVE_INFINITY } satisfies Session)
      this.catchUp(socket)
      return
    }
    for (const [attempt, log] of this.logs) {
      if (attempt > watcher.attempt) watcher = { ...watcher, attempt, index: 0 }
      const { index } = watcher
      const offset = offsetOf(log, index)
      if (attempt < watcher.attempt || offset === null || offset === log.end) continue
      send(socket, { type: 'output', attempt, index, offset, delta: log.deltas.slice(index).join('') })
      watcher = { ...watcher, index: log.deltas.length, offset: log.end }
    }
    socket.serializeAttachment(watcher satisfies Session)
  }

  /** The result may overtake the last of the output on its way here: what is missing of the text is in the result. */
  private complete(task: TaskView): void {
    for (const socket of this.ctx.getWebSockets('watcher')) this.catchUpAtOnce(socket)
    this.done = task
    const attempt = task.attempts.find(({ state }) => state === 'succeeded')?.number
    if (attempt === undefined || task.kind !== 'llm.chat') return
    const content = (task.output as OutputOf<'llm.chat'>).content ?? ''
    const log = this.logs.get(attempt)
    if (log && content.slice(log.start.offset, log.end) !== textOf(log)) return
    for (const socket of this.ctx.getWebSockets('watcher')) {
      const watcher = socket.deserializeAttachment() as Watcher
      const offset = watcher.offset ?? (log && watcher.index <= log.deltas.length ? log.end : content.length)
      const delta = content.slice(offset)
      const index = watcher.attempt === attempt ? watcher.index : 0
      if (delta !== '') send(socket, { type: 'output', attempt, index, offset, delta })
    }
  }

  private market() {
    return this.network.market(parseTaskId(this.ctx.id.name!)!.cell)
  }

  private ask(): Promise<TaskView | null> {
    return this.market().watch(this.ctx.id.name!)
  }

  private finish(task: TaskView | null): void {
    if (task) this.tell({ type: 'done', task })
    else this.close()
  }

  private close(): void {
    for (const socket of this.ctx.getWebSockets()) socket.close(1000, 'done')
    this.logs.clear()
  }

  private log(attempt: number, start: Start): OutputLog {
    const known = this.logs.get(attempt)
    if (known) return known
    const log = openLog(start)
    // Attempts nearly always come in order; one that is late after the memory was lost must not be told after the others.
    this.logs = new Map([...this.logs, [attempt, log] as const].sort(([x], [y]) => x - y))
    return log
  }

  private broadcast(event: WatchEvent): void {
    for (const socket of this.ctx.getWebSockets('watcher')) send(socket, event)
  }
}

function statusOf({ status, createdAt, attempts }: TaskView): Status {
  const open = attempts.find(({ state }) => state === 'granted' || state === 'started')
  if (!open) return { type: 'status', status, at: createdAt }
  return { type: 'status', status, at: open.grantedAt, attempt: open.number, provider: open.provider }
}

function send(socket: WebSocket, event: WatchEvent): void {
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

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
