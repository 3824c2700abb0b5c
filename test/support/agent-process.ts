/** Real agent programs whose events can be awaited, and the processes of their runners. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Address } from '../../core/protocol/values.ts'
import type { Kind } from '../../core/protocol/work.ts'
import { startAgent } from '../../scripts/agents.ts'
import { newProvider, type World } from './fault-world.ts'
import { eventually } from './ledger.ts'

/** A line of `--log json`: agent/log.ts names the events and their fields. */
export type AgentEvent = { event: string; lease?: string; status?: string; code?: string; reason?: string }

export type AgentProcess = {
  address: Address
  /** Its own folder. */
  state: string
  pid: number
  /** All that it has said since it was online. */
  events: AgentEvent[]
  /** Resolves with the first such event; rejects if the agent ends before. */
  says(matches: (event: AgentEvent) => boolean): Promise<AgentEvent>
  /** SIGKILL to it and its runners. */
  kill9(): Promise<void>
  stop(): Promise<void>
}

/** Starts an agent in a folder named after it, the same as before if it was there before; returns when it is online. */
export async function startAgentProcess(
  world: World,
  name: string,
  kinds: Kind[],
  upstream?: string,
): Promise<AgentProcess> {
  const plan = { id: name, name, kinds, ...(upstream !== undefined && { upstream }) }
  const agent = await startAgent(plan, world.url, world.folder)
  if (agent.failure) throw new Error(`agent ${name} did not come online: ${agent.failure}`)
  const { program } = agent
  world.defer(() => program.stop())
  const events: AgentEvent[] = []
  let waiting: ((event: AgentEvent) => void)[] = []
  program.onLine((line) => {
    const event = JSON.parse(line) as AgentEvent
    events.push(event)
    for (const tell of waiting) tell(event)
  })
  const state = join(world.folder, name)
  await newProvider(world, state)
  return {
    address: agent.address.toLowerCase() as Address,
    state,
    pid: program.pid,
    events,
    says(matches) {
      const earlier = events.find(matches)
      if (earlier) return Promise.resolve(earlier)
      const said = new Promise<AgentEvent>((resolve) => {
        waiting.push((event) => matches(event) && resolve(event))
      })
      const ended = program.ended.then((code) => {
        throw new Error(`agent ${name} ended with code ${code}: ${JSON.stringify(events)}`)
      })
      return Promise.race([said, ended]).finally(() => {
        waiting = []
      })
    },
    kill9: program.kill,
    stop: () => program.stop(),
  }
}

export type RunnerProcess = { pid: number; cpuTicks: number }

/** The processes that an agent runs its work in. */
export function runnersOf(agent: AgentProcess): RunnerProcess[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const fields = readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1]!.split(' ')
      const ours = fields[1] === String(agent.pid) && fields[0] !== 'Z'
      if (!ours || !readFileSync(`/proc/${name}/cmdline`, 'utf8').includes('runner-host')) return []
      return [{ pid: Number(name), cpuTicks: Number(fields[11]) + Number(fields[12]) }]
    } catch {
      return [] // gone meanwhile
    }
  })
}

/** Resolves with a runner of the agent once it has worked for some time beyond `since`, or is a new one that has. */
export function untilRunnerWorks(agent: AgentProcess, since: RunnerProcess[]): Promise<RunnerProcess> {
  const TICKS = 10
  return eventually('a runner works', 30_000, async () =>
    runnersOf(agent).find(({ pid, cpuTicks }) => {
      const before = since.find((runner) => runner.pid === pid)?.cpuTicks ?? 0
      return cpuTicks - before >= TICKS
    }),
  )
}
