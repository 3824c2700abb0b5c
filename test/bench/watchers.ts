/** Many sockets that are told the same: whether each message came to each of them once, and after how long. */
import { setTimeout as wait } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { quantile } from './load.ts'

export type Target = {
  /** Where the n-th message and what follows it is watched, 0 for all. */
  url: (from: number) => string
  headers?: Record<string, string>
  /** What is sent once a socket is open, and the frame that says that it listens. Else it listens once open. */
  greeting?: { say: string; until: (frame: string) => boolean }
  /** Sends a message to all who watch. */
  publish: (text: string) => Promise<void>
}

/** ws keeps its own shape of the browser's WebSocket; the package comes without types. */
export type Socket = {
  on(event: 'open' | 'close' | 'error', listener: () => void): void
  on(event: 'message', listener: (data: Buffer) => void): void
  send(text: string): void
  terminate(): void
}
const HeadedSocket = WebSocket as unknown as new (
  url: string,
  options: { headers: Record<string, string>; perMessageDeflate: false },
) => Socket

export const openSocket = (url: string, headers: Record<string, string> = {}): Socket =>
  new HeadedSocket(url, { headers, perMessageDeflate: false })

type Watcher = { socket: Socket | null; told: Uint8Array; next: number }
export type Watched = {
  /** Opens again those that were closed, each from what it was told last. */
  closed: number
  resume(): Promise<void>
  /** Publishes so many messages, with a pause after each; resolves when all have come, or after a while. */
  send(count: number, pauseMs: number): Promise<Sent>
  close(): void
}
/** `lost`, `twice`: over all sockets. Milliseconds from the call that publishes to the frame. */
export type Sent = { lost: number; twice: number; p50: number; p99: number; perSecond: number }

const AT_ONCE = 50
const MOST = 4096
const PAD = 'x'.repeat(200)
/** A message, in whatever frame it comes and with which others: its number, and when it was published. */
const MESSAGE = /T(\d+)@([\d.]+);/g

export async function watch(target: Target, count: number): Promise<Watched> {
  const watchers = Array.from({ length: count }, (): Watcher => ({ socket: null, told: new Uint8Array(MOST), next: 0 }))
  let published = 0
  let got = 0
  let latencies: number[] = []
  let twice = 0
  const watched: Watched = { closed: 0, resume, send, close }

  function open(watcher: Watcher): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const { greeting } = target
    const socket = openSocket(target.url(watcher.next), target.headers)
    let listens = false
    socket.on('open', () => {
      if (greeting) return
      listens = true
      resolve()
    })
    socket.on('message', (data) => {
      const text = data.toString('latin1')
      if (greeting && !listens) {
        if (greeting.until(text)) {
          listens = true
          resolve()
        } else socket.send(greeting.say)
        return
      }
      for (const [, digits, sentAt] of text.matchAll(MESSAGE)) {
        const number = Number(digits)
        if (watcher.told[number]) twice++
        else {
          got++
          latencies.push(performance.now() - Number(sentAt))
        }
        watcher.told[number] = 1
        watcher.next = number + 1
      }
    })
    socket.on('close', () => {
      if (watcher.socket === socket) {
        watcher.socket = null
        watched.closed++
      }
      reject(new Error('a socket was closed while it opened'))
    })
    socket.on('error', () => reject(new Error('a socket did not open')))
    watcher.socket = socket
    return promise
  }

  async function resume(): Promise<void> {
    const away = watchers.filter(({ socket }) => !socket)
    for (let i = 0; i < away.length; i += AT_ONCE) await Promise.all(away.slice(i, i + AT_ONCE).map(open))
    watched.closed = 0
  }

  async function send(messages: number, pauseMs: number): Promise<Sent> {
    got = 0
    twice = 0
    latencies = []
    const began = performance.now()
    for (let i = 0; i < messages; i++) {
      await target.publish(`T${published++}@${performance.now().toFixed(3)};${PAD}`)
      if (pauseMs > 0) await wait(pauseMs)
    }
    for (const until = performance.now() + 10_000; got < messages * count && performance.now() < until; ) await wait(2)
    const seconds = (performance.now() - began) / 1000
    latencies.sort((a, b) => a - b)
    const lost = messages * count - got
    return { lost, twice, p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99), perSecond: got / seconds }
  }

  function close(): void {
    for (const watcher of watchers) {
      const { socket } = watcher
      watcher.socket = null
      socket?.terminate()
    }
  }

  await resume()
  return watched
}
