/**
 * Dispatch: submit -> lease -> result over HTTP through the public routes, with authentication and the ledger on,
 * beside a bare hello Worker driven by the same client in the same run. Machines differ and are shared; the ratio
 * of the two is what is compared. At 32 connections the client agrees with wrk on the hello Worker within a tenth while
 * a core is left for it; on a busier machine it loses more to wrk, but then on both sides of the ratio.
 */
import { join } from 'node:path'
import type { EdgeProcess } from '../../scripts/edge-process.ts'
import { openRequester } from '../../scripts/requester.ts'
import { registerProviders, startAgents } from './agents.ts'
import { spawnBareWorker } from './bare-worker.ts'
import { type Bench, type Figures, judge, type Limit } from './bench.ts'
import { besidePeers } from './dispatch-peers.ts'
import { drive, type Load, median, type Times } from './load.ts'
import { rowsWritten, settledCost, spent } from './spent.ts'
import { type Clients, openHellos, openSubmitters } from './submitters.ts'
import { cpuMs, memoryMb } from './usage.ts'
import { inWorld } from './world.ts'

const LIMITS: Limit[] = [
  { figure: 'dispatch.ratio_hello_32', op: '>=', limit: 0.2 },
  { figure: 'dispatch.ratio_hello_batch100', op: '>=', limit: 1 },
  { figure: 'dispatch.rows_per_task_32', op: '<=', limit: 1 },
  { figure: 'dispatch.rows_per_task_batch100', op: '<=', limit: 0.1 },
  { figure: 'dispatch.edge_mb', op: '<=', limit: 400 },
  { figure: 'dispatch.ratio_bullmq_pull_32', op: '>=', limit: 0.5 },
  { figure: 'dispatch.ratio_bullmq_pull_batch100', op: '>=', limit: 3 },
  { figure: 'dispatch.ratio_pgboss_32', op: '>=', limit: 1 },
  { figure: 'dispatch.ratio_graphile_32', op: '>=', limit: 1 },
  { figure: 'dispatch.ratio_dbos_32', op: '>=', limit: 1 },
  { figure: 'dispatch.ratio_restate_32', op: '>=', limit: 1 },
]

/**
 * Agents have a few slots each, as those of GPU machines do, so that a poll may carry several tasks; `one_slot` is the same
 * load on as many slots of agents that have one. A batch is held against hello at 32, which is the most that hello does.
 */
const LOADS = [
  { name: '1', submitters: 1, batch: 1, agents: 16, free: 4, hello: 1 },
  { name: '32', submitters: 32, batch: 1, agents: 16, free: 4, hello: 32 },
  { name: '32_one_slot', submitters: 32, batch: 1, agents: 64, free: 1, hello: 32 },
  { name: '256', submitters: 256, batch: 1, agents: 16, free: 4, hello: 256 },
  { name: 'batch100', submitters: 8, batch: 100, agents: 16, free: 50, hello: 32 },
]
type Load1 = (typeof LOADS)[number]

/** Tasks after which the edge's memory is read; and again at the end, when a quick machine has done several times as many. */
const FULL = 100_000

type Network = { edge: EdgeProcess; hello: URL; apiKey: string; providers: Record<number, string[]> }
type Sample = Load & { cpuMs: number; rows: number }

export const bench: Bench = {
  name: 'dispatch',
  run({ quick, peers, log }) {
    return inWorld(async ({ edge, state, own }) => {
      const hello = own(await spawnBareWorker('hello-worker.ts'))
      const { apiKey } = await openRequester(edge.url, join(state, 'requester'))
      const providers: Record<number, string[]> = {}
      for (const { agents, free } of LOADS) providers[free] ??= await registerProviders(edge.url, agents, free)
      const network = { edge, hello: new URL('/v1/hello', hello.url), apiKey, providers }
      const figures = await measure(network, quick, log)
      if (peers) {
        const seconds = quick ? 4 : 8
        Object.assign(figures, await besidePeers(peers, edge.url, apiKey, network.providers, seconds, log))
      }
      return { figures, bars: judge(figures, LIMITS) }
    })
  },
}

async function measure(network: Network, quick: boolean, log: (line: string) => void): Promise<Figures> {
  const times = quick ? { warmSeconds: 1, seconds: 2 } : { warmSeconds: 1, seconds: 5 }
  const rounds = quick ? 1 : 3
  const samples: Record<string, { hello: Load; tasks: Sample }[]> = {}
  const memory = () => round(memoryMb(network.edge.workerd!))
  let total = 0
  let edge_mb = Number.NaN
  const count = (tasks: number) => {
    if (total < FULL && total + tasks >= FULL) edge_mb = memory()
    total += tasks
  }
  for (let round = 1; round <= rounds; round++) {
    for (const load of LOADS) {
      const hello = await driveAll(await openHellos(network.hello, load.hello), times)
      const tasks = await driveTasks(network, load, times)
      count(tasks.total)
      samples[load.name] = [...(samples[load.name] ?? []), { hello, tasks }]
      const rates = `${Math.round(tasks.perSecond)} tasks/s, hello ${Math.round(hello.perSecond)}/s`
      log(`round ${round}/${rounds}  ${load.name.padEnd(11)}  ${rates}`)
    }
  }
  const figures = summarise(samples)
  if (quick) return figures
  const batches = LOADS.find(({ batch }) => batch > 1)!
  for (let more = 0; total < FULL && more < 30; more++) {
    count((await driveTasks(network, batches, { warmSeconds: 0, seconds: 5 })).total)
  }
  return {
    ...figures,
    'dispatch.edge_mb': edge_mb,
    'dispatch.tasks': total,
    'dispatch.edge_mb_end': memory(),
  }
}

async function driveTasks(network: Network, load: Load1, times: Times): Promise<Sample> {
  const pid = network.edge.workerd!
  const agents = await startAgents(network.edge.url, network.providers[load.free]!.slice(0, load.agents), load.free)
  const [cpuBefore, before] = [cpuMs(pid), await settledCost(network.edge.url)]
  const submitters = await openSubmitters(network.edge.url, network.apiKey, load.submitters, load.batch)
  const driven = await Promise.race([driveAll(submitters, times), agents.failed])
  await agents.stop()
  const rows = rowsWritten(spent(before, await settledCost(network.edge.url)))
  return { ...driven, cpuMs: cpuMs(pid) - cpuBefore, rows }
}

async function driveAll(clients: Clients, times: Times): Promise<Load> {
  try {
    return await drive(clients.clients, times)
  } finally {
    clients.close()
  }
}

function summarise(samples: Record<string, { hello: Load; tasks: Sample }[]>): Figures {
  const over = (name: string, value: (sample: { hello: Load; tasks: Sample }) => number) =>
    round(median(samples[name]!.map(value)))
  const figures: Figures = {}
  for (const { name } of LOADS) {
    figures[`dispatch.ratio_hello_${name}`] = over(name, ({ hello, tasks }) => tasks.perSecond / hello.perSecond)
  }
  figures['dispatch.p50_ms_1'] = over('1', ({ tasks }) => tasks.p50)
  figures['dispatch.p99_ms_32'] = over('32', ({ tasks }) => tasks.p99)
  for (const name of ['32', 'batch100']) {
    figures[`dispatch.rows_per_task_${name}`] = over(name, ({ tasks }) => tasks.rows / tasks.total)
  }
  figures['dispatch.cpu_ms_per_task_32'] = over('32', ({ tasks }) => tasks.cpuMs / tasks.total)
  figures['dispatch.cpu_ms_per_task_batch100'] = over('batch100', ({ tasks }) => tasks.cpuMs / tasks.total)
  for (const { name } of LOADS) {
    figures[`dispatch.tasks_per_s_${name}`] = over(name, ({ tasks }) => tasks.perSecond)
    figures[`dispatch.hello_per_s_${name}`] = over(name, ({ hello }) => hello.perSecond)
  }
  return figures
}

/** Three significant digits or whole numbers: more would be noise. */
function round(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3))
}
