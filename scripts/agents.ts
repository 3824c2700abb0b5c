/** The providers of the one-command network: agent programs as child processes. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseAmount } from '../core/money.ts'
import type { Address } from '../core/protocol/values.ts'
import type { Kind } from '../core/protocol/work.ts'
import { inRoot } from './paths.ts'
import { type Program, startProgram } from './process.ts'

export type AgentPlan = { id: string; name: string; kinds: Kind[] /** A model server to offer. */; upstream?: string }

/** Every kind has a provider, and chats have two, so that work is spread. */
export const AGENTS: AgentPlan[] = [
  { id: '1', name: 'north', kinds: ['text.embed', 'image.upscale', 'llm.chat'] },
  { id: '2', name: 'south', kinds: ['doc.ocr', 'llm.chat'] },
]

export type Offering = { kind: Kind; model: string; ask: string; unit: string; speed: number }
export type Missing = { kind: Kind; model: string; why: string; mend?: string }

export type Agent = {
  name: string
  address: Address
  program: Program
  offerings: Offering[]
  missing: Missing[]
  /** What it claimed on the chain since it started, in base units. */
  claimed: bigint
  /** Why it could not claim, the last time that it could not. */
  unpaid: string | undefined
  /** Why it is not online; undefined when it is. */
  failure: string | undefined
}

/** What we read of the events in agent/log.ts. */
type Event = { event: string; kind: Kind; model: string; address: Address; reason?: string; mend?: string } & {
  ask: string
  unit: string
  speed: number
  why: string
  amount: string
}

/** Starts an agent and waits until it is online or has given up. Its events and errors go to `<state>/agent.log`. */
export async function startAgent(plan: AgentPlan, edge: string, folder: string, rpc?: string): Promise<Agent> {
  const state = join(folder, plan.id)
  await mkdir(state, { recursive: true })
  const args = ['--edge', edge, '--state', state, '--name', plan.name, '--runners', plan.kinds.join(), '--log', 'json']
  // Ether is there for the asking, so every claim is worth its gas.
  if (rpc !== undefined) args.push('--rpc', rpc, '--ether-price', '0')
  if (plan.upstream !== undefined) args.push('--upstream', plan.upstream)
  const program = startProgram(inRoot('agent/main.ts'), args, { log: join(state, 'agent.log') })
  const agent: Agent = {
    name: plan.name,
    address: '0x',
    program,
    offerings: [],
    missing: [],
    claimed: 0n,
    unpaid: undefined,
    failure: undefined,
  }
  const speeds = new Map<string, number>()
  await new Promise<void>((resolve) => {
    program.onLine((line) => {
      const event = parse(line)
      if (event?.event === 'online') resolve()
      if (event) note(agent, speeds, event)
    })
    void program.ended.then((code) => {
      agent.failure ??= `it ended with code ${code}`
      resolve()
    })
  })
  return agent
}

function note(agent: Agent, speeds: Map<string, number>, event: Event): void {
  const { kind, model } = event
  const work = `${kind} ${model}`
  if (event.event === 'start') agent.address = event.address.toLowerCase() as Address
  if (event.event === 'found') speeds.set(work, event.speed)
  if (event.event === 'missing') {
    agent.missing.push({ kind, model, why: event.why, ...(event.mend && { mend: event.mend }) })
  }
  if (event.event === 'offer') {
    agent.offerings.push({ kind, model, ask: event.ask, unit: event.unit, speed: speeds.get(work) ?? 0 })
  }
  if (event.event === 'claimed') agent.claimed += parseAmount(event.amount)
  if (event.event === 'unpaid') agent.unpaid = event.reason
  if (event.event === 'error') agent.failure = [event.reason, event.mend].filter(Boolean).join('; ')
}

function parse(line: string): Event | undefined {
  try {
    return JSON.parse(line) as Event
  } catch {
    return undefined
  }
}
