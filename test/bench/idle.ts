/**
 * Idle: what an edge does, and what it costs, with 1,000 agents that are connected and have nothing to do: a minute of it, the minute's
 * cron run included, as the product counts it. A day is taken to be 1,440 such minutes.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { registerProviders } from './agents.ts'
import { type Bench, type Figures, judge, type Limit } from './bench.ts'
import { openSocketAgents } from './socket-agents.ts'
import { settledCost, spent } from './spent.ts'
import { cpuMs, memoryMb } from './usage.ts'
import { inWorld } from './world.ts'

const LIMITS: Limit[] = [{ figure: 'cost.usd_idle_1000_day', op: '<=', limit: 0.01 }]

const AGENTS = 1000
const AT_ONCE = 20
const WINDOW_MS = 60_000
const AFTER_CRON_MS = 10_000
const MINUTES_A_DAY = 1_440

export const bench: Bench = {
  name: 'idle',
  run({ log }) {
    return inWorld(async ({ edge }) => {
      const before = memoryMb(edge.workerd!)
      const tokens = await Promise.all(
        Array.from({ length: AT_ONCE }, () => registerProviders(edge.url, AGENTS / AT_ONCE, 1)),
      )
      const agents = await openSocketAgents(edge.url, tokens.flat(), 1)
      log(`${AGENTS} agents are connected`)
      // Of the cron runs one is within the minute, and the first of the edge, which saves more, is before it.
      await wait(WINDOW_MS - (Date.now() % WINDOW_MS) + AFTER_CRON_MS)
      const from = { cost: await settledCost(edge.url), cpuMs: cpuMs(edge.workerd!), at: Date.now() }
      // An agent that hears nothing asks once a minute whether the edge is there.
      await Promise.race([wait(WINDOW_MS).then(agents.ping), agents.failed])
      const cost = spent(from.cost, await settledCost(edge.url))
      const minutes = (Date.now() - from.at) / 60_000
      const sum = (count: 'requests' | 'messages' | 'alarms' | 'rowsWritten' | 'awakeMs') =>
        Math.round(cost.parts.reduce((total, part) => total + part[count], 0) / minutes)
      const figures: Figures = {
        'cost.usd_idle_1000_day': Number(((cost.usd / minutes) * MINUTES_A_DAY).toPrecision(3)),
        'idle.requests_per_minute': sum('requests'),
        'idle.messages_per_minute': sum('messages'),
        'idle.alarms_per_minute': sum('alarms'),
        'idle.rows_per_minute': sum('rowsWritten'),
        'idle.awake_ms_per_minute': sum('awakeMs'),
        'idle.cpu_ms_per_minute': Math.round((cpuMs(edge.workerd!) - from.cpuMs) / minutes),
        'idle.kb_per_agent': Math.round(((memoryMb(edge.workerd!) - before) * 1024) / AGENTS),
      }
      for (const part of cost.parts) if (part.usd > 0) log(JSON.stringify(part))
      agents.close()
      return { figures, bars: judge(figures, LIMITS) }
    })
  },
}
