/** One provider at one edge: takes leases, runs them, keeps their results until the edge has answered for them. */
import type { Lease, OutputFrame, Result } from '#core/protocol/lease.ts'
import type { Register } from '#core/protocol/provider.ts'
import type { Kind } from '#core/protocol/work.ts'
import { connect } from './connection.ts'
import type { Edge } from './edge.ts'
import { compileHotCode } from './hot-code.ts'
import { openInput } from './input.ts'
import { createBook, finish, running, type Settled } from './lease-book.ts'
import type { Log } from './log.ts'
import { openOutput } from './output.ts'
import { signResult } from './receipt.ts'
import type { Runner } from './runner.ts'
import type { Sealing } from './sealing.ts'
import type { Share } from './slots.ts'
import type { Spool } from './spool.ts'
import { countReceipt, countResult, createTally, viewOf, type WorkView } from './tally.ts'
import type { Timing } from './timing.ts'
import { runLease, type Turns } from './work.ts'

export type AgentOptions = {
  edge: Edge
  registration: Register
  /** Who knows whether work will be paid; without it, all is taken. */
  payment?: {
    /** False for a lease that is to be given back. */
    takes: (lease: Lease) => Promise<boolean>
    ended: (lease: string, accepted: boolean) => void
  }
  /** Opens what is sealed to us; without it, nothing of that kind may be offered. */
  sealing?: Sealing
  /** Closed by whoever made them, for other edges may be served by them too. */
  runners: Runner[]
  /** A lease has come or ended, or the edge has answered. */
  onShare?: () => void
  turns: Turns
  spool: Spool
  log: Log
  now: () => number
  random: () => number
  timing: Timing
}

/** `online` is by what the edge is reached, null when it is not. */
export type AgentView = {
  online: 'socket' | 'poll' | null
  cell: string | null
  slots: number
  leases: { id: string; kind: Kind; model: string; startedAt: number }[]
  works: WorkView[]
}

export type Agent = {
  view: () => AgentView
  /** Whether it asks for more work; what runs goes on. */
  setOpen: (open: boolean) => void
  /** How many leases the edge is promised, may count on, and has given. */
  share: () => Share
  /** Promises so many from now on. */
  setSlots: (slots: number) => void
  /** Gives back what runs, to be done by others. */
  giveBack: () => void
  /** Tells the edge what is offered from now on. */
  register: (registration: Register) => void
  /**
   * Takes no more leases, lets what runs finish until `graceMs` or `hurry`, gives the rest back, hands in what it can.
   * What the edge has not answered for by then stays in the spool.
   */
  stop: (graceMs: number, hurry: AbortSignal) => Promise<void>
}

/** How long a leaving agent waits for the edge to answer for its last results. */
const FAREWELL_MS = 2000

type Active = { lease: Lease; controller: AbortController; startedAt: number }

export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { edge, payment, sealing, runners, onShare = () => {}, turns, spool, log, now, random, timing } = options
  let { registration } = options
  const book = createBook(registration.slots)
  const tally = createTally()
  const active = new Map<string, Active>()
  let changed = () => {}

  const earlier = spool.load()
  for (const result of earlier) finish(book, result, 'spool')
  if (earlier.length > 0) log('spool', { results: earlier.length })

  const connection = connect({ edge, book, registration, onSettled, log, now, random, timing })

  function onSettled({ receipts, revoked, fresh }: Settled) {
    for (const { lease, accepted, code } of receipts) {
      payment?.ended(lease, accepted)
      countReceipt(tally, lease, accepted)
      if (!accepted) log('refused', { lease, code })
      void forget(lease)
    }
    for (const id of revoked) {
      payment?.ended(id, false)
      end(id, 'revoked')
    }
    for (const lease of fresh) void begin(lease)
    // The edge does not know that there is room again before it is told.
    if (revoked.length > 0) connection.wake()
    changed()
    onShare()
  }

  /** The lease is no longer ours to run. */
  function end(id: string, status: string, code?: string) {
    const entry = active.get(id)
    if (!entry) return
    active.delete(id)
    entry.controller.abort()
    const { kind, model } = entry.lease
    log('task', { lease: id, kind, model, ms: Math.round(now() - entry.startedAt), status, code })
    changed()
    onShare()
  }

  async function begin(lease: Lease) {
    const controller = new AbortController()
    const { signal } = controller
    const startedAt = now()
    compileHotCode()
    active.set(lease.id, { lease, controller, startedAt })
    if (payment && !(await payment.takes(lease))) return giveBack(lease.id)
    if (signal.aborted) return
    const sendFirst = (frame: OutputFrame) => connection.sendOutput(lease.id, frame)
    const letter = sealing?.letterOf(lease)
    const output =
      lease.stream && !letter ? openOutput({ edge, lease: lease.id, sendFirst, timing, random }) : undefined
    const input = async () =>
      openInput(letter ? await letter.open() : lease, (sha256, until) => edge.getBlob(lease.id, sha256, until), {
        timing,
        random,
        signal,
      })
    const outcome = await runLease(lease, runners, turns, input, signal, (...piece) => output?.push(...piece))
    const told = letter ? await letter.close(outcome) : outcome
    const result = await signResult(edge, registration.offers, lease, told)
    if (signal.aborted) return output?.close()
    countResult(tally, lease, result, now() - startedAt)
    await Promise.all([save(result), output?.finish()])
    if (finish(book, result, 'run')) {
      const { outcome } = result
      end(lease.id, outcome.status, outcome.status === 'failed' ? outcome.error.code : undefined)
      connection.wake()
    } else await forget(lease.id)
  }

  /** To be done by another. */
  function giveBack(id: string) {
    finish(book, { lease: id, outcome: { status: 'returned' } }, 'run')
    end(id, 'returned')
    connection.wake()
  }

  function giveAllBack() {
    for (const id of running(book)) giveBack(id)
  }

  async function save(result: Result) {
    await spool.save(result).catch((error) => log('error', { reason: `cannot write the spool: ${error.message}` }))
  }

  async function forget(lease: string) {
    await spool.remove(lease).catch((error) => log('error', { reason: `cannot empty the spool: ${error.message}` }))
  }

  /** Resolves when `done` holds, or at the signal. */
  async function settled(done: () => boolean, signal: AbortSignal) {
    while (!done() && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>()
      changed = resolve
      signal.addEventListener('abort', () => resolve(), { once: true })
      await promise
    }
  }

  return {
    view: () => ({
      ...connection.view(),
      slots: book.slots,
      leases: [...active.values()].map(({ lease: { id, kind, model }, startedAt }) => ({ id, kind, model, startedAt })),
      works: viewOf(tally),
    }),
    share: () => ({
      slots: book.slots,
      told: book.told,
      running: running(book).length,
      isOnline: connection.view().online !== null,
    }),
    setSlots(slots) {
      if (slots === book.slots) return
      book.slots = slots
      connection.wake()
    },
    setOpen(open) {
      book.open = open
      connection.wake()
    },
    giveBack: giveAllBack,
    register(next) {
      registration = next
      connection.register(next)
    },
    async stop(graceMs, hurry) {
      book.open = false
      connection.wake()
      await settled(() => active.size === 0, AbortSignal.any([hurry, AbortSignal.timeout(graceMs)]))
      giveAllBack()
      await settled(() => book.entries.size === 0, AbortSignal.timeout(hurry.aborted ? FAREWELL_MS / 10 : FAREWELL_MS))
      await connection.close()
      await spool.close()
    },
  }
}
