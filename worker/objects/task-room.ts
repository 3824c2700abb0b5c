import { DurableObject } from 'cloudflare:workers'
import { isEnded, OutputFrame, type OutputOf, type TaskView, type WatchEvent } from '#core/protocol.ts'
import { parseTaskId } from '#core/task-id.ts'
import { type Env, networkOf } from '../env.ts'

/** How often a room with watchers asks the market whether it missed the end. */
const CHECK_MS = 15_000

type Session = { role: 'watcher'; attempt: number; index: number } | { role: 'agent'; attempt: number }

/**
 * Where the output of one task meets its watchers. The log is in memory only: until the task ends its agent holds the same
 * log and sends again what the room asks for, and afterwards the market has the whole output.
 */
export class TaskRoom extends DurableObject<Env> {
  private readonly logs = new Map<number, string[]>()
  private status: Extract<WatchEvent, { type: 'status' }> | null = null
  private done: TaskView | null = null

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
      this.ctx.acceptWebSocket(server, ['watcher'])
      const [after = 0, index = 0] = (searchParams.get('after') ?? '').split('.').map(Number)
      await this.welcome(server, { role: 'watcher', attempt: after || 0, index: index || 0 })
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
    if (rest !== '' && content.startsWith(told)) {
      this.append(attempt, { from: this.log(attempt).length, deltas: [rest] })
    }
  }

  /** From an agent: more of an attempt's output. @returns the index wanted next */
  append(attempt: number, { from, deltas }: OutputFrame): { next: number } {
    const log = this.log(attempt)
    for (let i = Math.max(0, log.length - from); from <= log.length && i < deltas.length; i++) {
      const delta = deltas[i]!
      log.push(delta)
      this.broadcast({ type: 'output', attempt, index: log.length - 1, delta })
    }
    return { next: log.length }
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const session = socket.deserializeAttachment() as Session
    if (session.role !== 'agent' || typeof message !== 'string') return
    const frame = OutputFrame.safeParse(safeJson(message))
    if (!frame.success) return socket.close(1003, 'not an output frame')
    socket.send(JSON.stringify(this.append(session.attempt, frame.data)))
  }

  /** The end of a task is told once; should that be lost, the room asks. */
  override async alarm(): Promise<void> {
    if (this.done || this.ctx.getWebSockets('watcher').length === 0) return
    const task = await this.ask()
    if (!task || isEnded(task.status)) return this.finish(task)
    await this.ctx.storage.setAlarm(Date.now() + CHECK_MS)
  }

  private async welcome(socket: WebSocket, session: Extract<Session, { role: 'watcher' }>): Promise<void> {
    socket.serializeAttachment(session)
    const task = this.done ?? (this.status ? null : await this.ask())
    if (this.status) send(socket, this.status)
    else if (task) send(socket, { type: 'status', status: task.status, at: task.createdAt })
    for (const [attempt, log] of this.logs) {
      const from = attempt === session.attempt ? session.index : attempt < session.attempt ? log.length : 0
      for (const [i, delta] of log.slice(from).entries())
        send(socket, { type: 'output', attempt, index: from + i, delta })
    }
    if (task && isEnded(task.status)) {
      send(socket, { type: 'done', task })
      socket.close(1000, 'done')
    } else if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now() + CHECK_MS)
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

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
