/**
 * Cost: what a million tasks cost on the platform at its published prices, from the running product's own counts (GET /v1/network/cost)
 * while real tasks go through it, with authentication, ledger and public log. Agents are on sockets, as the real one prefers. Processor
 * time is not in the product's counts; here it is the whole process's, at the price of a Worker's, which is more than will be billed.
 */
import { join } from 'node:path'
import type { CostView } from '../../core/cost.ts'
import { openRequester } from '../../scripts/requester.ts'
import { registerProviders } from './agents.ts'
import { type Bench, type Figures, judge, type Limit } from './bench.ts'
import { drive } from './load.ts'
import { openSocketAgents } from './socket-agents.ts'
import { settledCost, spent } from './spent.ts'
import { openSubmitters } from './submitters.ts'
import { cpuMs } from './usage.ts'
import { inWorld } from './world.ts'

const LIMITS: Limit[] = [
  { figure: 'cost.usd_per_m_single', op: '<=', limit: 4 },
  { figure: 'cost.usd_per_m_single_32', op: '<=', limit: 4 },
  { figure: 'cost.usd_per_m_batch', op: '<=', limit: 1.5 },
]

/** One task after the other, many at once, and batches of 100. */
const LOADS = [
  { name: 'single', submitters: 1, batch: 1 },
  { name: 'single_32', submitters: 32, batch: 1 },
  { name: 'batch', submitters: 4, batch: 100 },
]
const AGENTS = 16
const FREE = 50
/** US dollars for a millisecond of a Worker's processor time; see core/cost.ts for where prices are published. */
const CPU_MS = 0.02e-6

export const bench: Bench = {
  name: 'cost',
  run({ quick, log }) {
    return inWorld(async ({ edge, state }) => {
      const { apiKey } = await openRequester(edge.url, join(state, 'requester'))
      const agents = await openSocketAgents(edge.url, await registerProviders(edge.url, AGENTS, FREE), FREE)
      const figures: Figures = {}
      for (const { name, submitters, batch } of LOADS) {
        const before = { cost: await settledCost(edge.url), cpuMs: cpuMs(edge.workerd!) }
        const { clients, close } = await openSubmitters(edge.url, apiKey, submitters, batch)
        await Promise.race([drive(clients, { warmSeconds: 0, seconds: quick ? 3 : 15 }), agents.failed])
        close()
        const cost = spent(before.cost, await settledCost(edge.url))
        const cpu = (cpuMs(edge.workerd!) - before.cpuMs) / cost.tasks
        log(`${name}: ${cost.tasks} tasks`)
        tell(cost, log)
        Object.assign(figures, figuresOf(name, cost, cpu))
      }
      agents.close()
      return { figures, bars: judge(figures, LIMITS) }
    })
  },
}

function figuresOf(name: string, cost: CostView, cpu: number): Figures {
  const perTask = (count: 'requests' | 'messages' | 'alarms' | 'rowsWritten') =>
    round(cost.parts.reduce((sum, part) => sum + part[count], 0) / cost.tasks)
  return {
    [`cost.usd_per_m_${name}`]: round(cost.usdPerMillionTasks! + cpu * CPU_MS * 1e6),
    [`cost.requests_per_task_${name}`]: perTask('requests'),
    [`cost.messages_per_task_${name}`]: perTask('messages'),
    [`cost.alarms_per_task_${name}`]: perTask('alarms'),
    [`cost.rows_per_task_${name}`]: perTask('rowsWritten'),
    [`cost.awake_ms_per_task_${name}`]: round(cost.parts.reduce((sum, part) => sum + part.awakeMs, 0) / cost.tasks),
    [`cost.cpu_ms_per_task_${name}`]: round(cpu),
  }
}

function tell({ parts, tasks }: CostView, log: (line: string) => void): void {
  for (const { part, usd, requests, messages, alarms, rowsRead, rowsWritten, awakeMs } of parts) {
    if (usd === 0) continue
    const counts = { requests, messages, alarms, rowsRead, rowsWritten, awakeMs }
    const text = Object.entries(counts).flatMap(([name, count]) => (count === 0 ? [] : `${name} ${count}`))
    log(`  ${part.padEnd(9)} $${((usd / tasks) * 1e6).toFixed(3)} a million: ${text.join(', ')}`)
  }
}

const round = (value: number): number => Number(value.toPrecision(3))
