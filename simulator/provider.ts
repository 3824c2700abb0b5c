/**
 * A provider of the simulated network: its agent's own lease book (agent/lease-book.ts) between a socket that may fail and work
 * that takes virtual time. What agent/connection.ts and agent/socket-link.ts do, without a runtime.
 */
import {
  createBook,
  finish,
  forgetSent,
  hasUnsent,
  held,
  type LeaseBook,
  nextPoll,
  startRegistration,
  takeAnswer,
} from '#agent/lease-book.ts'
import { backoff, TIMING } from '#agent/timing.ts'
import { LEASE_MS } from '#core/lease.ts'
import type { Lease, PollAnswer, Result } from '#core/protocol/lease.ts'
import type { Prefix } from '#core/protocol/work.ts'
import { type Agenda, after, at } from './agenda.ts'
import { closeLink, type Edge, type Link, openLink, registerProvider, takeFrame } from './edge.ts'
import { type Size, serviceMs } from './load.ts'
import type { Model, ProviderPlan } from './plan.ts'
import { chance, exponential, type Random, whole } from './random.ts'

type Job = {
  lease: Lease
  size: Size
  from: number
  until: number
  /** When its output stopped reaching its room; null while it does. */
  brokenAt: number | null
}

/** A socket as the provider sees it, and what was last under way on it: messages of one direction keep their order. */
type Socket = Link & {
  atProvider: boolean
  upAt: number
  downAt: number
  renewedAt: number
  unansweredSince: number | null
}

export type Agent = {
  plan: ProviderPlan
  random: Random
  leases: LeaseBook
  jobs: Map<string, Job>
  /** Results on its disk, until the edge has spoken of them. */
  spool: Map<string, Result>
  socket: Socket | null
  registered: boolean
  failures: number
  /** Grows with each start of its program, and is 0 while there is none. */
  life: number
  starts: number
  timerAt: number
  /** Times as slow as usual; how long its clock's hours are; until when nothing comes through. */
  slowness: number
  pace: number
  cutUntil: number
  /** Some of its calls come twice, or late; `stale`: some have, at some time. */
  doubles: boolean
  shuffles: boolean
  stale: boolean
}

/** The world as its providers see it. */
export type Field = {
  agenda: Agenda
  edge: Edge
  models: Map<string, Model>
  /** The job of a lease, for the room of its stream. */
  jobs: Map<string, Job>
  /** Leases that were ever told to anybody, the latest thousand: what a forger may have seen. */
  seen: string[]
  begun: (lease: Lease) => void
  /** It was given more than it has slots for. */
  crowded: (agent: Agent) => void
}

const RENEW_MS = LEASE_MS / 3
/** How long a half-open socket lives on at the edge. */
const HALF_OPEN_MS = 100_000

export const createAgent = (plan: ProviderPlan, random: Random): Agent => ({
  plan,
  random,
  leases: createBook(plan.registration.slots),
  jobs: new Map(),
  spool: new Map(),
  socket: null,
  registered: false,
  failures: 0,
  life: 0,
  starts: 0,
  timerAt: Number.POSITIVE_INFINITY,
  slowness: 1,
  pace: 1,
  cutUntil: 0,
  doubles: false,
  shuffles: false,
  stale: false,
})

/* Its program */

/** Starts the program, with what it finds on its disk. */
export function start(field: Field, agent: Agent): void {
  agent.life = ++agent.starts
  agent.leases = createBook(agent.plan.registration.slots)
  agent.registered = false
  agent.failures = 0
  for (const result of agent.spool.values()) finish(agent.leases, result, 'spool')
  connect(field, agent)
}

/** The program is gone, with all that it had in memory. `silently`: nobody tells the edge. */
export function crash(field: Field, agent: Agent, silently: boolean): void {
  agent.life = 0
  for (const job of agent.jobs.values()) job.brokenAt ??= field.agenda.now
  agent.jobs.clear()
  const { socket } = agent
  if (socket) hangUp(field, agent, socket, silently ? HALF_OPEN_MS : agent.plan.latencyMs)
}

/* Its connection */

function connect(field: Field, agent: Agent): void {
  const { agenda, edge } = field
  const { life } = agent
  const delay = latency(agent) * 2
  after(agenda, delay, () => {
    if (agent.life !== life || agent.socket) return
    if (!edge.up || agenda.now < agent.cutUntil) {
      reconnect(field, agent)
      return
    }
    if (!agent.registered) {
      registerProvider(edge, agent.plan.address, agent.plan.registration)
      agent.registered = true
      startRegistration(agent.leases)
    }
    const socket = newSocket(field, agent)
    agent.socket = socket
    agent.failures = 0
    openLink(edge, socket)
    sendPoll(field, agent)
  })
}

function newSocket(field: Field, agent: Agent): Socket {
  const { now } = field.agenda
  const socket: Socket = {
    provider: agent.plan.address,
    atEdge: false,
    atProvider: true,
    sent: 0,
    upAt: now,
    downAt: now,
    renewedAt: now,
    unansweredSince: null,
    tell: (answer) => carryDown(field, agent, socket, answer),
    closed: () => after(field.agenda, latency(agent), () => lost(field, agent, socket)),
  }
  return socket
}

/** The provider's side closes; the edge learns of it later. */
function hangUp(field: Field, agent: Agent, socket: Socket, ms: number): void {
  socket.atProvider = false
  agent.socket = null
  forgetSent(agent.leases)
  after(field.agenda, Math.max(ms, agent.cutUntil - field.agenda.now), () => closeLink(field.edge, socket))
}

/** The provider learns that its socket is closed. */
function lost(field: Field, agent: Agent, socket: Socket): void {
  if (!socket.atProvider) return
  hangUp(field, agent, socket, 0)
  reconnect(field, agent)
}

function reconnect(field: Field, agent: Agent): void {
  const { life } = agent
  after(field.agenda, backoff(agent.failures++, TIMING, agent.random) * agent.pace, () => {
    if (agent.life === life) connect(field, agent)
  })
}

const latency = ({ plan, random }: Agent): number => plan.latencyMs * (0.5 + exponential(random, 0.5))

/** When a message that is sent now arrives: after those before it. What is cut off arrives when it heals. */
const arrival = ({ agenda }: Field, agent: Agent, last: number): number =>
  Math.max(last, Math.max(agenda.now, agent.cutUntil) + latency(agent))

function sendPoll(field: Field, agent: Agent): void {
  const { socket, leases } = agent
  if (!socket?.atProvider) return
  const { now } = field.agenda
  do {
    const frame = twisted(field, agent, nextPoll(leases, now))
    socket.upAt = arrival(field, agent, socket.upAt)
    // As a call over HTTP may come late, after later ones, or twice when it was repeated; answers keep their order.
    const late = agent.shuffles && chance(agent.random, 0.3) ? exponential(agent.random, 2000) : 0
    at(field.agenda, socket.upAt + late, () => takeFrame(field.edge, socket, frame))
    if (agent.doubles && chance(agent.random, 0.3)) {
      at(field.agenda, socket.upAt + exponential(agent.random, 500), () => takeFrame(field.edge, socket, frame))
    }
  } while (hasUnsent(leases))
  socket.renewedAt = now
  socket.unansweredSince ??= now
  arm(field, agent)
}

function carryDown(field: Field, agent: Agent, socket: Socket, answer: PollAnswer): void {
  socket.downAt = arrival(field, agent, socket.downAt)
  at(field.agenda, socket.downAt, () => takeIn(field, agent, socket, answer))
}

/** When its leases are to be renewed, and when the edge has been silent for too long. */
function timesOf(
  { leases, pace }: Agent,
  { renewedAt, unansweredSince }: Socket,
): { renewAt: number; giveUpAt: number } {
  const renewAt = held(leases) > 0 ? renewedAt + RENEW_MS * pace : Number.POSITIVE_INFINITY
  return { renewAt, giveUpAt: (unansweredSince ?? Number.POSITIVE_INFINITY) + TIMING.answerMs * pace }
}

/** One timer, for whichever comes first. */
function arm(field: Field, agent: Agent): void {
  if (!agent.socket) return
  const { renewAt, giveUpAt } = timesOf(agent, agent.socket)
  const due = Math.min(renewAt, giveUpAt)
  if (due >= agent.timerAt) return
  agent.timerAt = due
  at(field.agenda, due, () => {
    if (agent.timerAt !== due) return
    agent.timerAt = Number.POSITIVE_INFINITY
    tick(field, agent)
  })
}

function tick(field: Field, agent: Agent): void {
  const { socket } = agent
  if (!socket) return
  const { renewAt, giveUpAt } = timesOf(agent, socket)
  if (field.agenda.now >= giveUpAt) lost(field, agent, socket)
  else if (field.agenda.now >= renewAt) sendPoll(field, agent)
  else arm(field, agent)
}

function takeIn(field: Field, agent: Agent, socket: Socket, answer: PollAnswer): void {
  if (agent.socket !== socket) return
  socket.unansweredSince = null
  if (held(agent.leases) === 0) socket.renewedAt = field.agenda.now
  const { receipts, revoked, fresh } = takeAnswer(agent.leases, answer)
  for (const { lease } of receipts) agent.spool.delete(lease)
  for (const lease of revoked) stop(field, agent, lease)
  for (const lease of fresh) begin(field, agent, lease)
  if (revoked.length > 0) sendPoll(field, agent)
  arm(field, agent)
}

/* Its work */

function begin(field: Field, agent: Agent, lease: Lease): void {
  const { agenda, jobs, models, seen } = field
  const { now } = agenda
  const { life } = agent
  const size = lease.input as Size
  const model = models.get(lease.model)!
  const rest = { ...size, out: Math.max(0, size.out - (lease.prefix?.tokens ?? 0)) }
  const ms = Math.max(1, serviceMs(rest, model, agent.plan.speed) * agent.slowness)
  const job: Job = { lease, size: rest, from: now, until: now + ms, brokenAt: null }
  agent.jobs.set(lease.id, job)
  if (lease.stream) jobs.set(lease.id, job)
  if (seen.length < 1000) seen.push(lease.id)
  else seen[whole(agent.random, 1000)] = lease.id
  field.begun(lease)
  // One whose old calls come late says of itself what is not so any more.
  if (!agent.stale && agent.jobs.size > agent.plan.registration.slots) field.crowded(agent)
  if (agent.plan.cheat === 'hoarder') return
  at(agenda, job.until, () => {
    if (agent.life !== life || agent.jobs.get(lease.id) !== job) return
    agent.jobs.delete(lease.id)
    const result = resultOf(agent, lease, rest)
    if (!finish(agent.leases, result, 'run')) return
    agent.spool.set(lease.id, result)
    sendPoll(field, agent)
  })
}

function stop(field: Field, agent: Agent, lease: string): void {
  const job = agent.jobs.get(lease)
  if (job) job.brokenAt ??= field.agenda.now
  agent.jobs.delete(lease)
}

/** What the room of a stream has of an attempt: what was written until now, or until it broke off. */
export function deliveredOf({ agenda, jobs }: Field, lease: string): Prefix {
  const job = jobs.get(lease)
  jobs.delete(lease)
  if (!job) return { text: '', tokens: 0 }
  const { from, until, brokenAt, size } = job
  const share = Math.min(1, ((brokenAt ?? agenda.now) - from) / (until - from))
  const tokens = Math.floor(size.out * share)
  return { text: tokens > 0 ? '…' : '', tokens }
}

function resultOf({ plan, random }: Agent, { id, kind }: Lease, size: Size): Result {
  if (chance(random, plan.flaky)) {
    return { lease: id, outcome: { status: 'failed', error: { code: 'broken', message: 'it broke' } } }
  }
  if (chance(random, 0.005)) return { lease: id, outcome: { status: 'returned' } }
  const honest = kind === 'llm.chat' ? CHAT : EMBEDDING
  const output = plan.cheat === 'sloppy' && chance(random, 0.5) ? NONSENSE : honest
  const times = plan.cheat === 'inflater' ? 100 : 1
  const usage = { inputTokens: size.in * times, outputTokens: size.out * times }
  return { lease: id, outcome: { status: 'succeeded', output, usage } }
}

const CHAT = { content: '…', finishReason: 'stop' }
const EMBEDDING = { embeddings: [[1]] }
const NONSENSE = { content: 7 }

type Frame = ReturnType<typeof nextPoll>

/** A forger adds results for leases that it has heard of, which are mostly not its own. */
function twisted({ seen }: Field, { plan, random }: Agent, frame: Frame): Frame {
  if (plan.cheat !== 'forger' || seen.length === 0 || !chance(random, 0.3)) return frame
  const lease = seen[whole(random, seen.length)]!
  const usage = { inputTokens: 1, outputTokens: 1 }
  return { ...frame, results: [...frame.results, { lease, outcome: { status: 'succeeded', output: CHAT, usage } }] }
}
