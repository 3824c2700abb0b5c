/** The provider's socket: frames when there is something to say, renewals while leases are held, a ping when idle. */
import type { OutputFrame, PollAnswer } from '#core/protocol/lease.ts'
import { parseFrame } from './answer.ts'
import type { Edge } from './edge.ts'
import { hasUnsent, held, type LeaseBook, nextPoll } from './lease-book.ts'
import type { Timing } from './timing.ts'

/** Why a link is over. `code` is the edge's problem code, when it sent one. */
export type LinkEnd = { opened: boolean; reason: string; code?: string }
export type Link = {
  ended: Promise<LinkEnd>
  wake: () => void
  /** Sends the first output of a lease, which may be lost. */
  sendOutput?: (lease: string, frame: OutputFrame) => void
  close: () => void
}

export type LinkOptions = {
  edge: Edge
  book: LeaseBook
  leaseSeconds: number
  onAnswer: (answer: PollAnswer) => void
  now: () => number
  timing: Timing
}

export async function linkSocket({ edge, book, leaseSeconds, onAnswer, now, timing }: LinkOptions): Promise<Link> {
  const socket = await edge.openSocket('/v1/provider/socket')
  const { promise: ended, resolve } = Promise.withResolvers<LinkEnd>()
  const renewMs = (leaseSeconds * 1000) / 3
  let opened = false
  let queued = false
  let sentAt = now()
  let renewedAt = now()
  let unansweredSince: number | null = now()
  let timer: NodeJS.Timeout | undefined

  function end(reason: string, code?: string) {
    clearTimeout(timer)
    socket.close()
    resolve({ opened, reason, ...(code ? { code } : {}) })
  }

  function send(text: string) {
    socket.send(text)
    sentAt = now()
    unansweredSince ??= sentAt
  }

  function sendPoll() {
    queued = false
    if (socket.readyState !== socket.OPEN) return
    send(JSON.stringify({ type: 'poll', ...nextPoll(book, now()) }))
    renewedAt = now()
    arm()
    if (hasUnsent(book)) wake()
  }

  /** What happens at the same moment goes out in one frame. */
  function wake() {
    if (queued || !opened) return
    queued = true
    setImmediate(sendPoll)
  }

  function arm() {
    clearTimeout(timer)
    const due = [
      held(book) > 0 ? renewedAt + renewMs : sentAt + timing.pingMs,
      unansweredSince === null
        ? Number.POSITIVE_INFINITY
        : unansweredSince + (opened ? timing.answerMs : timing.openMs),
    ]
    timer = setTimeout(tick, Math.max(Math.min(...due) - now(), 0))
  }

  function tick() {
    const silent = unansweredSince === null ? 0 : now() - unansweredSince
    if (!opened && silent >= timing.openMs) return end('the socket did not open')
    if (opened && silent >= timing.answerMs) return end('the edge stopped answering')
    if (opened && held(book) > 0 && now() - renewedAt >= renewMs) return sendPoll()
    if (opened && now() - sentAt >= timing.pingMs) send('ping')
    arm()
  }

  socket.addEventListener('open', () => {
    opened = true
    unansweredSince = null
    sendPoll()
  })
  socket.addEventListener('message', ({ data }) => {
    unansweredSince = null
    if (data === 'pong') return arm()
    try {
      const frame = parseFrame(String(data))
      if (frame.type === 'error') return end(frame.problem.title, frame.problem.code)
      // Leases that come to an idle agent are as good as renewed now: no frame is owed for them yet.
      if (held(book) === 0) renewedAt = now()
      onAnswer(frame)
    } catch {
      return end('the edge sent a frame that is not of this protocol')
    }
    arm()
  })
  socket.addEventListener('close', ({ code, reason }) => {
    end(opened ? `the socket was closed (${reason || code})` : 'the socket did not open')
  })
  socket.addEventListener('error', () => {})
  arm()

  function sendOutput(lease: string, frame: OutputFrame) {
    if (socket.readyState === socket.OPEN) socket.send(JSON.stringify({ type: 'output', lease, ...frame }))
  }

  return { ended, wake, sendOutput, close: () => end('closed here') }
}
