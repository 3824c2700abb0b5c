/** What a span of time used of the platform, by the running product's own counts. */
import { setTimeout as wait } from 'node:timers/promises'
import { call } from '../../client/edge.ts'
import type { CostView } from '../../core/cost.ts'

export const readCost = (edge: string): Promise<CostView> => call({ edge }, 'GET', '/v1/network/cost')

/** The history is written behind the tasks: waits until nothing was written for a second, ten at most. */
export async function settledCost(edge: string): Promise<CostView> {
  let cost = await readCost(edge)
  for (let still = 0, waited = 0; still < 4 && waited < 40; waited++) {
    await wait(250)
    const now = await readCost(edge)
    still = rowsWritten(now) === rowsWritten(cost) ? still + 1 : 0
    cost = now
  }
  return cost
}

/** What came between two readings, but for the calls that read. */
export function spent(before: CostView, after: CostView): CostView {
  const parts = after.parts.map((part, i) => {
    const from = before.parts[i]!
    const counts = Object.entries(from).filter(([, value]) => typeof value === 'number') as [
      keyof typeof part,
      number,
    ][]
    return { ...part, ...Object.fromEntries(counts.map(([name, value]) => [name, (part[name] as number) - value])) }
  })
  const tasks = after.tasks - before.tasks
  const usd = after.usd - before.usd
  return { since: before.since, tasks, parts, usd, usdPerMillionTasks: tasks === 0 ? null : (usd / tasks) * 1e6 }
}

export const rowsWritten = ({ parts }: CostView): number => parts.reduce((sum, part) => sum + part.rowsWritten, 0)
