/**
 * Agent: what a provider's program costs its machine, as the one file that the edge serves, over a real edge, with a model server
 * that answers at once: until it is online, while it idles, and for each task.
 */
import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { connect as connectTo } from '../../client/daicn.ts'
import { buildAgent } from '../../scripts/build.ts'
import { inRoot } from '../../scripts/paths.ts'
import { startProgram } from '../../scripts/process.ts'
import { openRequester } from '../../scripts/requester.ts'
import { MODEL, spawnTokenServer } from '../support/token-server.ts'
import { type Bench, type Figures, judge, type Limit } from './bench.ts'
import { median } from './load.ts'
import { cpuMs } from './usage.ts'
import { inWorld, type World } from './world.ts'

const LIMITS: Limit[] = [
  { figure: 'agent.start_ms', op: '<=', limit: 1000 },
  { figure: 'agent.idle_mb', op: '<=', limit: 80 },
  { figure: 'agent.cpu_ms_per_task', op: '<=', limit: 2 },
  { figure: 'agent.idle_requests_per_minute', op: '<=', limit: 1 },
]

const STARTS = 5
const WARM_TASKS = 200
const TASKS = 10_000
const AT_ONCE = 32
/** Until what a start left behind is collected. */
const SETTLE_MS = 10_000
const IDLE_MINUTES = 2

export const bench: Bench = {
  name: 'agent',
  run({ quick, log }) {
    return inWorld(async (world) => {
      await buildAgent()
      const upstream = world.own(await spawnTokenServer(0))
      const figures: Figures = {}
      const starts: number[] = []
      for (let i = 0; i < (quick ? 1 : STARTS); i++) {
        const agent = await startAgentFile(world, world.edge.url, upstream.url, `start-${i}`)
        starts.push(agent.startMs)
        await agent.program.stop()
      }
      figures['agent.start_ms'] = Math.round(median(starts))
      log(`online ${starts.map(Math.round).join(', ')} ms after its start, probes apart`)

      const counter = await countRequests(new URL(world.edge.url))
      const agent = await startAgentFile(world, counter.url, upstream.url, 'worker')
      await wait(SETTLE_MS)
      figures['agent.idle_mb'] = residentMb(agent.program.pid)
      if (!quick) {
        const before = counter.requests()
        await wait(IDLE_MINUTES * 60_000)
        figures['agent.idle_requests_per_minute'] = (counter.requests() - before) / IDLE_MINUTES
      }

      const { apiKey } = await openRequester(world.edge.url, join(world.state, 'requester'))
      const run = runner(world.edge.url, apiKey)
      await run(WARM_TASKS)
      const tasks = quick ? TASKS / 10 : TASKS
      const cpu = cpuMs(agent.program.pid)
      await run(tasks)
      figures['agent.cpu_ms_per_task'] = (cpuMs(agent.program.pid) - cpu) / tasks
      await wait(SETTLE_MS)
      figures['agent.mb_after_tasks'] = residentMb(agent.program.pid)
      log(`${tasks} tasks later it has ${figures['agent.mb_after_tasks']} MB`)
      counter.close()
      for (const [name, value] of Object.entries(figures)) figures[name] = Math.round(value * 100) / 100
      return { figures, bars: judge(figures, LIMITS) }
    })
  },
}

type Line = { event: string; at: number; ms?: number }

/** Returns when it is online; `startMs` is from its start until then, less what the probes took. */
async function startAgentFile({ state, own }: World, edge: string, upstream: string, name: string) {
  const args = ['--edge', edge, '--upstream', upstream, '--runners', 'llm.chat', '--state', join(state, name)]
  const began = Date.now()
  const program = startProgram(
    inRoot('web/build/agent.mjs'),
    [...args, '--price', 'llm.chat=0.000000001', '--log', 'json'],
    {
      log: join(state, `${name}.log`),
    },
  )
  own({ program })
  let probesMs = 0
  const online = new Promise<number>((resolve) => {
    program.onLine((text) => {
      const { event, at, ms = 0 } = JSON.parse(text) as Line
      if (event === 'found') probesMs += ms
      if (event === 'online') resolve(at)
    })
  })
  const ended = program.ended.then((code) => {
    throw new Error(`the agent ended with code ${code}, see ${name}.log`)
  })
  ended.catch(() => {})
  const at = await Promise.race([online, ended])
  return { program, startMs: at - began - probesMs }
}

/** Runs so many tasks of one token, some at once. */
function runner(edge: string, key: string) {
  const daicn = connectTo({ edge, key })
  return async (count: number) => {
    let left = count
    const work = async () => {
      while (left-- > 0) {
        const input = { messages: [{ role: 'user' as const, content: `task ${left}` }], max_tokens: 1 }
        await daicn.run({ kind: 'llm.chat', model: MODEL, input })
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
  }
}

/** A way to the edge on which what goes up is counted: pieces that come together are one. */
async function countRequests(edge: URL) {
  const TOGETHER_MS = 50
  let requests = 0
  let last = 0
  const server = createServer((down) => {
    const up = connect(Number(edge.port), edge.hostname)
    down.on('data', () => {
      const now = performance.now()
      if (now - last > TOGETHER_MS) requests++
      last = now
    })
    down.pipe(up).pipe(down)
    for (const socket of [down, up]) socket.on('error', () => [down, up].map((one) => one.destroy()))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  return { url: `http://127.0.0.1:${port}`, requests: () => requests, close: () => server.close() }
}

/** Megabytes in memory; Linux only. */
function residentMb(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return match ? Number(match[1]) / 1024 : Number.NaN
}
