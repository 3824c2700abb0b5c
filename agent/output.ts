/**
 * Sends the output of one streaming lease to the edge as it comes. The final result does not depend on it. The first delta goes by
 * a way that is open already, and only when it has had time to arrive is a socket opened for the others: somebody waits for the
 * first, and to open a socket takes the edge longer than to pass on a delta.
 */
import type { ChatPiece } from '#core/protocol/chat-piece.ts'
import type { OutputFrame } from '#core/protocol/lease.ts'
import { type Edge, EdgeError, outputPath } from './edge.ts'
import type { RunOptions } from './runner.ts'
import { backoff, pause, type Timing } from './timing.ts'

export type Output = {
  push: RunOptions['onDelta']
  /** Resolves when the edge has everything, or when that cannot be had in time. */
  finish: () => Promise<void>
  close: () => void
}

/** Deltas that come within this go out in one frame. */
const BATCH_MS = 4
/** How long after the first delta the socket is opened. */
const OPEN_MS = 4
const FRAME_DELTAS = 1000
const FRAME_CHARS = 256 * 1024
const DELTA_CHARS = 65_536
const RECONNECTS = 5

export type OutputOptions = {
  edge: Edge
  lease: string
  /** Brings output to the edge by a way that is open already, unless it is lost. */
  sendFirst: (frame: OutputFrame) => void
  timing: Timing
  random: () => number
}

type Piece = { delta: string; tokens: number; chars: number; beside: ChatPiece | undefined }

/** `ask`: for what the edge has; a carrier without it says so after each frame. */
type Carrier = { send: (frame: OutputFrame) => void; ask?: () => void; close: () => void }

export function openOutput({ edge, lease, sendFirst, timing, random }: OutputOptions): Output {
  /** All deltas so far: the edge may ask for any of them again. */
  const log: Piece[] = []
  /** The edge has everything below `acked`; everything below `sent` is on its way. */
  let acked = 0
  let sent = 0
  let carrier: Carrier | undefined
  let timer: NodeJS.Timeout | undefined
  let opening: NodeJS.Timeout | undefined
  let waiting: (() => void) | undefined
  let finishing = false
  let dead = false
  const closing = new AbortController()

  function frame(from: number): OutputFrame {
    let end = from
    for (let chars = 0; end < log.length && end - from < FRAME_DELTAS; end++) {
      chars += log[end]!.chars
      if (chars > FRAME_CHARS && end > from) break
    }
    const pieces = log.slice(from, end)
    return {
      from,
      deltas: pieces.map(({ delta }) => delta),
      tokens: pieces.map(({ tokens }) => tokens),
      ...(pieces.some(({ beside }) => beside) && { beside: pieces.map(({ beside }) => beside ?? null) }),
    }
  }

  function flush() {
    timer = undefined
    while (carrier && sent < log.length) {
      const next = frame(sent)
      sent += next.deltas.length
      carrier.send(next)
    }
    if (finishing && acked < log.length) carrier?.ask?.()
  }

  function settle() {
    if (dead || acked >= log.length) waiting?.()
  }

  /** Resolves when the socket is over: true if it had opened. */
  async function bySocket(): Promise<boolean> {
    const socket = await edge.openSocket(outputPath(lease))
    const { promise, resolve } = Promise.withResolvers<boolean>()
    let opened = false
    let greeted = false
    const timeout = setTimeout(() => socket.close(), timing.openMs)
    const onClosing = () => socket.close()
    closing.signal.addEventListener('abort', onClosing, { once: true })
    if (closing.signal.aborted) socket.close()
    socket.addEventListener('open', () => {
      opened = true
      clearTimeout(timeout)
    })
    socket.addEventListener('message', ({ data }) => {
      const next = nextOf(String(data))
      if (next === undefined) return socket.close()
      acked = Math.min(next, log.length)
      if (greeted) {
        // Asked at the end, or unasked: it misses something that was sent. Start again from what it wants.
        if (acked < sent) return socket.close()
        return settle()
      }
      greeted = true
      sent = acked
      carrier = {
        close: () => socket.close(),
        send: (out) => socket.send(JSON.stringify(out)),
        ask: () => socket.send('next'),
      }
      flush()
    })
    socket.addEventListener('error', () => {})
    socket.addEventListener('close', () => {
      clearTimeout(timeout)
      closing.signal.removeEventListener('abort', onClosing)
      carrier = undefined
      resolve(opened)
    })
    return promise
  }

  /** One PUT after another, each with all there is; for networks that let no socket through. */
  async function byPut(): Promise<void> {
    while (!closing.signal.aborted) {
      if (acked < log.length) {
        const { next } = await edge.putOutput(lease, frame(acked), closing.signal)
        acked = Math.min(next, log.length)
        settle()
      } else {
        const { promise, resolve } = Promise.withResolvers<void>()
        carrier = { send: () => resolve(), close: () => resolve() }
        sent = acked
        flush()
        await promise
        carrier = undefined
      }
    }
  }

  async function run() {
    for (let failures = 0; failures < RECONNECTS && !closing.signal.aborted; failures++) {
      try {
        const before = acked
        const opened = await bySocket()
        if (!opened && !closing.signal.aborted) await byPut()
        if (acked > before) failures = 0
      } catch (error) {
        if (error instanceof EdgeError && error.code === 'lease_not_found') break
      }
      await pause(backoff(failures, timing, random), closing.signal)
    }
    dead = true
    settle()
  }

  function start() {
    clearTimeout(opening)
    opening = undefined
    void run()
  }

  function close() {
    clearTimeout(timer)
    clearTimeout(opening)
    closing.abort()
    carrier?.close()
  }

  return {
    push(text, tokens, beside) {
      const isFirst = log.length === 0
      const first = text.slice(0, DELTA_CHARS)
      const chars = first.length + (beside ? JSON.stringify(beside).length : 0)
      log.push({ delta: first, tokens, chars, beside })
      for (let i = DELTA_CHARS; i < text.length; i += DELTA_CHARS) {
        const delta = text.slice(i, i + DELTA_CHARS)
        log.push({ delta, tokens: 0, chars: delta.length, beside: undefined })
      }
      if (isFirst) {
        sendFirst(frame(0))
        opening = setTimeout(start, OPEN_MS)
      } else timer ??= setTimeout(flush, BATCH_MS)
    },
    async finish() {
      finishing = true
      if (opening) start()
      flush()
      if (!dead && acked < log.length) {
        const { promise, resolve } = Promise.withResolvers<void>()
        waiting = resolve
        await Promise.race([promise, pause(timing.streamEndMs, closing.signal)])
      }
      close()
    },
    close,
  }
}

function nextOf(data: string): number | undefined {
  try {
    const { next } = JSON.parse(data)
    return Number.isInteger(next) && next >= 0 ? next : undefined
  } catch {
    return undefined
  }
}
