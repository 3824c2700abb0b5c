/**
 * A real agent as a process of its own, with nothing but one upstream to offer: up in a moment, for tests that kill many and for
 * benches. Arguments: edge, upstream, model, state folder, slots, ask.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startAgent } from '../../agent/agent.ts'
import { createEdge } from '../../agent/edge.ts'
import { loadAccount } from '../../agent/key.ts'
import { createUpstreamRunner } from '../../agent/runners/openai-upstream.ts'
import { openSpool } from '../../agent/spool.ts'
import { TIMING } from '../../agent/timing.ts'
import { createTurns } from '../../agent/work.ts'
import type { Address } from '../../core/protocol/values.ts'
import { type Program, startProgram } from '../../scripts/process.ts'

export type UpstreamAgent = { address: Address; program: Program }
export type UpstreamAgentPlan = {
  edge: string
  upstream: string
  model: string
  state: string
  slots: number
  ask: string
}

/** Returns when it is online. */
export async function startUpstreamAgent(plan: UpstreamAgentPlan): Promise<UpstreamAgent> {
  const { edge, upstream, model, state, slots, ask } = plan
  const args = [edge, upstream, model, state, String(slots), ask]
  const program = startProgram(fileURLToPath(import.meta.url), args, { log: `${state}.log` })
  const online = new Promise<Address>((resolve) => program.onLine((line) => resolve(line as Address)))
  const ended = program.ended.then((code) => {
    throw new Error(`an agent ended with code ${code}, see ${state}.log`)
  })
  ended.catch(() => {})
  return { address: await Promise.race([online, ended]), program }
}

if (import.meta.main) {
  const [edge, url, model, state, slots, ask] = process.argv.slice(2) as [
    string,
    string,
    string,
    string,
    string,
    string,
  ]
  const account = await loadAccount(state)
  const runner = createUpstreamRunner({ url, model, concurrency: Number(slots), apiKey: undefined, known: {} })
  const { speed } = await runner.probe(AbortSignal.timeout(60_000))
  await startAgent({
    edge: createEdge(edge, account, Date.now),
    registration: {
      name: '',
      slots: Number(slots),
      offers: [{ kind: 'llm.chat', model, ask, speed: Math.max(1, Math.round(speed)) }],
      agent: 'test',
    },
    runners: [runner],
    turns: createTurns(),
    spool: await openSpool(join(state, 'spool'), edge),
    log(event, fields) {
      if (event === 'online') console.log(account.address.toLowerCase())
      else console.error(event, JSON.stringify(fields))
    },
    now: Date.now,
    random: Math.random,
    timing: TIMING,
  })
}
