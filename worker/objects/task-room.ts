import { DurableObject } from 'cloudflare:workers'
import { isEnded, LIMITS, OutputFrame, type OutputOf, type TaskView, type WatchEvent } from '#core/protocol.ts'
import { parseTaskId } from '#core/task-id.ts'
import { type Env, networkOf } from '../env.ts'

/** How often a room with watchers asks the market whether it missed the end. */
const CHECK_MS = 15_000

/** How far a watcher was told: outputs of `attempt` below `index`, of `chars` characters, null when that is not known. */
type Watcher = { role: 'watcher'; attempt: number; index: number; chars: number | null }
type Session = Watcher | { role: 'agent'; attempt: number }

/**
 * Where the output of one task meets its watchers. The log is in memory only: until the task ends its agent holds the same
 * log and sends again what the room asks for, and afterwards the market has the whole output. How far each watcher was told
 * stays with its socket, which outlives the log, so that it hears everything once.
 */
export class TaskRoom extends DurableObject<Env> {
  private readonly logs = new Map<number, string[]>()
  private status: Extract<WatchEvent, { type: 'status' }> | null = null
  private done: TaskView | null = null
  /** Length of all logs. */
  private chars = 0

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('ping', 'pong'))
  }

  /** A watcher (`?after=<attempt>.<index>`) or an agent (`?attempt=N`); the Worker has checked who it is. */
  override async fetch(request: Request): Promise<Response> {
    const { searchParams } = new URL(request.url)
    const { 0: client, 1: server } = new WebSocketPair()
    const attempt = searchParams.get('attempt')
    if (attempt !== null) {
      this.ctx.acceptWebSocket(server, ['agent'])
      server.serializeAttachment({ role: 'agent', attempt: Number(attempt) } satisfies Session)
      server.send(JSON.stringify({ next: this.log(Number(attempt)).length }))
    } else {
      const task = this.done ?? (this.status ? null : await this.ask())
      this.ctx.acceptWebSocket(server, ['watcher'])
      await this.welcome(server, parseCursor(searchParams.get('after') ?? ''), this.done ?? task)
    }
    return new Response(null, { status: 101, webSocket: client })
  }

  /** From the market: the task changed. */
  tell(event: WatchEvent): void {
    if (this.done) return
    if (event.type === 'status') this.status = event
    if (event.type === 'done') this.complete(event.task)
    this.broadcast(event)
    if (event.type === 'done') this.close()
  }

  /** The result may overtake the last of the output on its way here: what is missing of the text is in the result. */
  private complete(task: TaskView): void {
    this.done = task
    const attempt = task.attempts.find(({ state }) => state === 'succeeded')?.number
    if (attempt === undefined || task.kind !== 'llm.chat') return
    const content = (task.output as OutputOf<'llm.chat'>).content ?? ''
    const told = this.log(attempt).join('')
    const rest = content.slice(told.length)
    // Watchers that were told more than a room that lost its log has been told again.
    for (const socket of this.ctx.getWebSockets('watcher')) {
      const watcher = socket.deserializeAttachment() as Watcher
      if (watcher.attempt !== attempt || watcher.index <= this.log(attempt).length || watcher.chars === null) continue
      const delta = content.slice(watcher.chars)
      if (delta !== '') send(socket, { type: 'output', attempt, index: watcher.index, delta })
    }
    if (rest !== '' && content.startsWith(told)) {
      this.append(attempt, { from: this.log(attempt).length, deltas: [rest] })
    }
  }

  /** From an agent: more of an attempt's output. @returns the index wanted next */
  append(attempt: number, { from, deltas }: OutputFrame): { next: number } {
    const log = this.log(attempt)
    if (from > log.length) return { next: log.length }
    for (const delta of deltas.slice(log.length - from)) {
      // Beyond what a result may hold nothing is kept or told: the result itself would be refused.
      if (this.chars + delta.length > LIMITS.outputBytes) break
      this.chars += delta.length
      log.push(delta)
    }
    for (const socket of this.ctx.getWebSockets('watcher')) this.catchUp(socket)
    return { next: log.length }
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const session = socket.deserializeAttachment() as Session
    if (this.done || session.role !== 'agent' || typeof message !== 'string') return
    const frame = OutputFrame.safeParse(safeJson(message))
    if (!frame.success) return socket.close(1003, 'not an output frame')
    socket.send(JSON.stringify(this.append(session.attempt, frame.data)))
  }

  override webSocketClose(socket: WebSocket): void {
    socket.close()
  }

  /** The end of a task is told once; should that be lost, the room asks. */
  override async alarm(): Promise<void> {
    if (this.done || this.ctx.getWebSockets('watcher').length === 0) return
    const task = await this.ask()
    if (!task || isEnded(task.status)) return this.finish(task)
    await this.ctx.storage.setAlarm(Date.now() + CHECK_MS)
  }

  private async welcome(socket: WebSocket, watcher: Watcher, task: TaskView | null): Promise<void> {
    const told = (this.logs.get(watcher.attempt) ?? []).slice(0, watcher.index)
    const chars = told.length < watcher.index ? null : told.join('').length
    socket.serializeAttachment({ ...watcher, chars } satisfies Session)
    if (this.status) send(socket, this.status)
    else if (task) send(socket, { type: 'status', status: task.status, at: task.createdAt })
    this.catchUp(socket)
    if (task && isEnded(task.status)) {
      send(socket, { type: 'done', task })
      socket.close(1000, 'done')
    } else if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now() + CHECK_MS)
  }

  /** Tells a watcher all that it was not told yet. */
  private catchUp(socket: WebSocket): void {
    let watcher = socket.deserializeAttachment() as Watcher
    for (const [attempt, log] of this.logs) {
      if (attempt < watcher.attempt) continue
      if (attempt > watcher.attempt && log.length > 0) watcher = { role: 'watcher', attempt, index: 0, chars: 0 }
      for (const delta of log.slice(watcher.index)) {
        send(socket, { type: 'output', attempt, index: watcher.index, delta })
        const chars = watcher.chars === null ? null : watcher.chars + delta.length
        watcher = { ...watcher, index: watcher.index + 1, chars }
      }
    }
    socket.serializeAttachment(watcher satisfies Session)
  }

  private ask(): Promise<TaskView | null> {
    const id = this.ctx.id.name!
    return networkOf(this.env).market(parseTaskId(id)!.cell).watch(id)
  }

  private finish(task: TaskView | null): void {
    if (task) this.tell({ type: 'done', task })
    else this.close()
  }

  private close(): void {
    for (const socket of this.ctx.getWebSockets()) socket.close(1000, 'done')
    this.logs.clear()
  }

  private log(attempt: number): string[] {
    const log = this.logs.get(attempt) ?? []
    this.logs.set(attempt, log)
    return log
  }

  private broadcast(event: WatchEvent): void {
    for (const socket of this.ctx.getWebSockets('watcher')) send(socket, event)
  }
}

function send(socket: WebSocket, event: WatchEvent): void {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(event))
}

/** `<attempt>.<index>`; anything else is the beginning. */
function parseCursor(after: string): Watcher {
  const [, attempt = 0, index = 0] = /^(\d{1,9})\.(\d{1,9})$/.exec(after) ?? []
  return { role: 'watcher', attempt: Number(attempt), index: Number(index), chars: 0 }
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
