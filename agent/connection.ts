/** Keeps one provider connected to one edge: registers, prefers the socket, falls back to long polls, backs off. */
import type { OutputFrame } from '#core/protocol/lease.ts'
import type { Register } from '#core/protocol/provider.ts'
import { type Edge, EdgeError } from './edge.ts'
import { forgetSent, type LeaseBook, type Settled, startRegistration, takeAnswer } from './lease-book.ts'
import type { Log } from './log.ts'
import { linkPolls } from './poll-link.ts'
import { type Link, type LinkEnd, linkSocket } from './socket-link.ts'
import { backoff, pause, type Timing } from './timing.ts'

export type Connection = {
  /** There is something to tell the edge. */
  wake: () => void
  /** Sends the first output of a lease, which may be lost. */
  sendOutput: (lease: string, frame: OutputFrame) => void
  /** Registers again, with other offers. */
  register: (registration: Register) => void
  view: () => { online: 'socket' | 'poll' | null; cell: string | null }
  /** Ends the connection; resolves when nothing of it is left. */
  close: () => Promise<void>
}

export type ConnectionOptions = {
  edge: Edge
  book: LeaseBook
  registration: Register
  onSettled: (settled: Settled) => void
  log: Log
  now: () => number
  random: () => number
  timing: Timing
}

/** After these the edge knows us no more, or not with this token; registering again mends both. */
const REGISTER_AGAIN = new Set(['not_registered', 'expired_token', 'invalid_credentials', 'missing_credentials'])

export function connect(options: ConnectionOptions): Connection {
  const { edge, book, log, now, random, timing } = options
  const closing = new AbortController()
  let link: Link | undefined
  let online: 'socket' | 'poll' | undefined
  let registered: { cell: string; leaseSeconds: number } | undefined
  let { registration } = options
  let failures = 0
  let socketAt = 0

  function reached(transport: 'socket' | 'poll') {
    failures = 0
    if (online === transport) return
    online = transport
    log('online', { transport, slots: book.slots, cell: registered?.cell })
  }

  async function fail(reason: string, retryAfterMs = 0) {
    forgetSent(book)
    if (closing.signal.aborted) return
    if (online !== undefined || failures === 0) log('offline', { reason })
    online = undefined
    await pause(Math.max(backoff(failures++, timing, random), retryAfterMs), closing.signal)
  }

  /** One link from its start to its end. */
  async function hold(transport: 'socket' | 'poll', leaseSeconds: number): Promise<LinkEnd> {
    const linkOptions = {
      edge,
      book,
      leaseSeconds,
      now,
      timing,
      onAnswer(answer: Parameters<typeof takeAnswer>[1]) {
        reached(transport)
        options.onSettled(takeAnswer(book, answer))
      },
    }
    link = transport === 'socket' ? await linkSocket(linkOptions) : linkPolls(linkOptions, socketAt)
    if (closing.signal.aborted || !registered) link.close()
    const end = await link.ended
    link = undefined
    return end
  }

  async function run() {
    while (!closing.signal.aborted) {
      try {
        if (!registered) {
          const telling = registration
          const answer = await edge.register(telling, closing.signal)
          // It may have changed while the edge was told.
          if (telling !== registration) continue
          registered = answer
          startRegistration(book)
        }
        const transport = now() >= socketAt ? 'socket' : 'poll'
        const end = await hold(transport, registered.leaseSeconds)
        if (!registered) continue // closed here, to be told of other offers
        if (end.code && REGISTER_AGAIN.has(end.code)) registered = undefined
        // A socket that never opened says nothing about the edge: polls get the same chance at once.
        if (transport === 'socket' && !end.opened) socketAt = now() + timing.socketRetryMs
        else if (transport === 'socket' || end.code || now() < socketAt) {
          // Nothing could be reached, so the socket's failure was no sign that only sockets are shut out.
          if (end.code === 'unreachable') socketAt = 0
          await fail(end.reason)
        }
      } catch (error) {
        const known = error instanceof EdgeError
        if (known && REGISTER_AGAIN.has(error.code)) registered = undefined
        await fail((error as Error).message, known ? error.retryAfterMs : undefined)
      }
    }
  }

  const done = run()
  return {
    wake: () => link?.wake(),
    sendOutput: (lease, frame) => link?.sendOutput?.(lease, frame),
    register(next) {
      registration = next
      registered = undefined
      link?.close()
    },
    view: () => ({ online: online ?? null, cell: registered?.cell ?? null }),
    async close() {
      closing.abort()
      link?.close()
      await done
    },
  }
}
