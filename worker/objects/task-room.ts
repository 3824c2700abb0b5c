import { DurableObject } from 'cloudflare:workers'
import { OutputFrame } from '#core/protocol/lease.ts'
import { isEnded, type TaskView, type WatchEvent } from '#core/protocol/task.ts'
import type { Prefix } from '#core/protocol/work.ts'
import { parseTaskId } from '#core/task-id.ts'
import { type Env, type Network, networkOf } from '../env.ts'
import { logError } from '../log.ts'
import { used } from '../usage.ts'
import { addDeltas, deliveredOf, type Start } from './output-log.ts'
import { catchUp, complete, logOf, openRoom, type Room, send, statusOf, type Watcher, watcherOf } from './room.ts'

/** How often a room asks the market whether it missed the end, for watchers that do not ask it to. */
const CHECK_MS = 15_000
/** A room of which nothing was heard for so long, and to which no socket leads, is forgotten. */
const FORGOTTEN_MS = 600_000
/** Where watchers are many, a room tells them what is new so seldom that it spends half of its time with that at most. */
const WATCHER_MS = 0.05
/** Tasks of which it is known that they are over: what comes late must not open their rooms again. */
const OVER_KEPT = 1_000

type Agent = { role: 'agent'; task: string; attempt: number; start: Start }
type Session = Watcher | Agent

/** By what sockets are found: those of a task's watchers, of its agents, and all that must be told of an end that was missed. */
const watchersOf = (task: string) => `watcher ${task}`
const agentsOf = (task: string) => `agent ${task}`
const WAITING = 'waiting'

/**
 * Where the output of tasks meets their watchers: a room for each of some tasks (core/task-id.ts says which share an object; to
 * make one for each would take longer than the rest of a stream's way here). A room is in memory only: until its task ends the
 * agent holds the same log and sends again what the room asks for, and afterwards the market has the whole output. How far each
 * watcher was told stays with its socket, which outlives the log, so that it hears everything once.
 *
 * The market seals the room when an attempt ends without a result. What watchers were told until then is what the attempt is
 * paid for and what the next one goes on from, so nothing of it or of earlier ones may be told afterwards.
 */
export class TaskRoom extends DurableObject<Env> {
  private readonly network: Network
  private readonly rooms = new Map<string, Room>()
  private readonly over = new Set<string>()
  private sweptAt = 0

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.network = networkOf(env)
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('ping', 'pong'))
  }

  /**
   * A watcher (see `watcherOf`; `fresh` of a task that was submitted just now) or an agent (`attempt=N&offset=K&besideOffset=L`)
   * of a task; the Worker has checked who it is.
   */
  override async fetch(request: Request): Promise<Response> {
    const { searchParams: query } = new URL(request.url)
    const { 0: client, 1: server } = new WebSocketPair()
    const task = query.get('task')!
    const attempt = Number(query.get('attempt'))
    if (attempt > 0) {
      const [offset, besideOffset] = ['offset', 'besideOffset'].map((name) => Number(query.get(name)))
      this.openAgent(server, { role: 'agent', task, attempt, start: { offset: offset!, besideOffset: besideOffset! } })
    } else {
      const isKnown = this.rooms.get(task)?.status || (query.has('fresh') && !this.over.has(task))
      let view = isKnown ? null : await this.ask(task)
      // It ended while the market was asked, and those who were here were told.
      if (view && !isEnded(view.status) && this.over.has(task)) view = await this.ask(task)
      await this.welcome(server, watcherOf(this.room(task), query), view)
    }
    return new Response(null, { status: 101, webSocket: client })
  }

  private openAgent(socket: WebSocket, session: Agent): void {
    const { task, attempt, start } = session
    const room = this.room(task)
    this.ctx.acceptWebSocket(socket, [agentsOf(task)])
    socket.serializeAttachment(session satisfies Session)
    socket.send(JSON.stringify({ next: logOf(room, attempt, start).deltas.length }))
    if (attempt <= room.sealed || this.over.has(task)) socket.close(1000, 'sealed')
  }

  /** From the market: the task changed. */
  tell(task: string, event: WatchEvent): void {
    if (this.over.has(task)) return
    const room = this.room(task)
    if (event.type === 'done') {
      complete(room, this.watchers(task), event.task)
      this.close(room)
      return
    }
    if (event.type === 'status') {
      if (room.status?.status === event.status && room.status.attempt === event.attempt) return
      room.status = event
    }
    if (room.telling) this.tellNews(room)
    for (const socket of this.watchers(task)) send(socket, event)
  }

  /** Tells watchers what is new, soon: with what comes until then. */
  private tellNewsSoon(room: Room): void {
    if (room.telling) return
    const wait = room.toldAt + Math.floor(this.watchers(room.task).length * WATCHER_MS) - Date.now()
    if (wait <= 0) this.tellNews(room)
    else {
      room.telling = true
      setTimeout(() => room.telling && this.tellNews(room), wait)
    }
  }

  private tellNews(room: Room): void {
    room.telling = false
    room.toldAt = Date.now()
    for (const socket of this.watchers(room.task)) catchUp(room, socket)
  }

  /** From the market: the attempt is over. @returns all that watchers were or will be told of it, from now on the same */
  seal(task: string, attempt: number): Prefix {
    const room = this.room(task)
    room.sealed = Math.max(room.sealed, attempt)
    for (const socket of this.ctx.getWebSockets(agentsOf(task))) {
      if ((socket.deserializeAttachment() as Agent).attempt <= room.sealed) socket.close(1000, 'sealed')
    }
    const log = room.logs.get(attempt)
    return log ? deliveredOf(log) : { text: '', tokens: 0 }
  }

  /** From an agent: more of an attempt's output, which begins at `start`. @returns the index wanted next */
  append(task: string, attempt: number, start: Start, frame: OutputFrame): { next: number } {
    if (this.over.has(task)) return { next: frame.from + frame.deltas.length }
    const room = this.room(task)
    const log = logOf(room, attempt, start)
    if (attempt > room.sealed && addDeltas(log, frame)) this.tellNewsSoon(room)
    return { next: log.deltas.length }
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const session = socket.deserializeAttachment() as Session
    // What was on its way when we closed the socket still comes.
    if (typeof message !== 'string' || socket.readyState !== WebSocket.OPEN) return
    const room = this.room(session.task)
    if (session.role === 'watcher') {
      if (message === 'check' && session.checks) await this.check(room)
      if (message !== 'more') return
      socket.serializeAttachment({ ...session, left: session.window } satisfies Session)
      return catchUp(room, socket)
    }
    const { task, attempt, start } = session
    if (message === 'next') return socket.send(JSON.stringify({ next: logOf(room, attempt, start).deltas.length }))
    const frame = OutputFrame.safeParse(safeJson(message))
    if (!frame.success) return socket.close(1003, 'not an output frame')
    const { next } = this.append(task, attempt, start, frame.data)
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
    if (session.role !== 'agent' || this.over.has(session.task)) return
    const { task, attempt } = session
    if (attempt <= this.room(task).sealed) return
    await this.market(task)
      .outputBrokeOff(task, attempt)
      .catch((error) => logError('broke_off_failed', error, { task }))
  }

  /** The end of a task is told once; should that be lost, the room asks. */
  override async alarm(): Promise<void> {
    const waiting = this.ctx.getWebSockets(WAITING).map((socket) => (socket.deserializeAttachment() as Watcher).task)
    await Promise.all([...new Set(waiting)].map((task) => this.check(this.room(task))))
    if (this.ctx.getWebSockets(WAITING).length > 0) await this.checkLater()
  }

  private async check(room: Room): Promise<void> {
    const view = await this.ask(room.task)
    if (!view) this.close(room)
    else if (isEnded(view.status)) this.tell(room.task, { type: 'done', task: view })
  }

  /** @param view how the task stands, null where that is known or will be told */
  private async welcome(socket: WebSocket, watcher: Watcher, view: TaskView | null): Promise<void> {
    const room = this.room(watcher.task)
    const tags = [watchersOf(room.task)]
    this.ctx.acceptWebSocket(socket, watcher.checks ? tags : [...tags, WAITING])
    socket.serializeAttachment(watcher satisfies Session)
    if (view && !isEnded(view.status)) room.status ??= statusOf(view)
    if (room.status) send(socket, room.status)
    else if (view) send(socket, statusOf(view))
    catchUp(room, socket)
    if (view && isEnded(view.status)) {
      send(socket, { type: 'done', task: view })
      socket.close(1000, 'done')
    } else if (!watcher.checks && (await this.ctx.storage.getAlarm()) === null) {
      await this.checkLater()
    }
  }

  private async checkLater(): Promise<void> {
    await this.ctx.storage.setAlarm(Date.now() + CHECK_MS)
    used.room.rowsWritten++
  }

  private close({ task }: Room): void {
    for (const tag of [watchersOf(task), agentsOf(task)]) {
      for (const socket of this.ctx.getWebSockets(tag)) socket.close(1000, 'done')
    }
    this.rooms.delete(task)
    this.over.add(task)
    if (this.over.size > OVER_KEPT) for (const oldest of this.over) return void this.over.delete(oldest)
  }

  private room(task: string): Room {
    const now = Date.now()
    const room = this.rooms.get(task) ?? openRoom(task, now)
    room.heardAt = now
    this.rooms.set(task, room)
    if (now - this.sweptAt > FORGOTTEN_MS) this.sweep(now)
    return room
  }

  private sweep(now: number): void {
    this.sweptAt = now
    for (const { task, heardAt } of this.rooms.values()) {
      const sockets = this.watchers(task).length + this.ctx.getWebSockets(agentsOf(task)).length
      if (now - heardAt > FORGOTTEN_MS && sockets === 0) this.rooms.delete(task)
    }
  }

  private watchers(task: string): WebSocket[] {
    return this.ctx.getWebSockets(watchersOf(task))
  }

  private market(task: string) {
    return this.network.market(parseTaskId(task)!.cell)
  }

  private ask(task: string): Promise<TaskView | null> {
    return this.market(task).watch(task)
  }
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
