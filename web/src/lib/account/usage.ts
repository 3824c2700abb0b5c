/** What an account used, from the list of its tasks. Pure. */
import { formatAmount, isAmount, parseAmount } from '#core/money.ts'
import type { TaskSummary } from '#core/protocol/network.ts'

export const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** Longer than this and the bars are days. */
const HOURS_SHOWN = 48
const MOST_DAYS = 60

/** `spent` is base units; `at` the start of the hour or the day, Unix milliseconds. */
export type Bar = { at: number; tasks: number; spent: bigint }
export type Usage = { stepMs: number; bars: Bar[]; models: ModelUsage[] }
export type ModelUsage = { kind: string; model: string; tasks: number; spent: bigint }

/** Without gaps from the first of the tasks until `now`, the latest sixty days at most. */
export function usageOf(tasks: readonly TaskSummary[], now: number): Usage {
  const first = tasks.reduce((least, { createdAt }) => Math.min(least, createdAt), now)
  const stepMs = now - first <= HOURS_SHOWN * HOUR_MS ? HOUR_MS : DAY_MS
  const last = startOf(now, stepMs)
  const from = Math.max(startOf(first, stepMs), last - (MOST_DAYS - 1) * stepMs)
  const bars: Bar[] = []
  for (let at = from; at <= last; at += stepMs) bars.push({ at, tasks: 0, spent: 0n })
  const models = new Map<string, ModelUsage>()
  for (const task of tasks) {
    const { kind, model, createdAt } = task
    const spent = spentOn(task)
    const bar = bars[(startOf(createdAt, stepMs) - from) / stepMs]
    if (bar) add(bar, spent)
    const name = `${kind} ${model}`
    const used = models.get(name) ?? { kind, model, tasks: 0, spent: 0n }
    models.set(name, used)
    add(used, spent)
  }
  const dearest = (x: ModelUsage, y: ModelUsage) => Number(y.spent > x.spent) - Number(y.spent < x.spent)
  return { stepMs, bars, models: [...models.values()].sort((x, y) => dearest(x, y) || y.tasks - x.tasks) }
}

const startOf = (at: number, stepMs: number) => Math.floor(at / stepMs) * stepMs
const spentOn = ({ price }: TaskSummary) => (price !== undefined && isAmount(price) ? parseAmount(price) : 0n)

function add(sum: { tasks: number; spent: bigint }, spent: bigint): void {
  sum.tasks++
  sum.spent += spent
}

export const totalSpent = (models: readonly ModelUsage[]): string =>
  formatAmount(models.reduce((sum, { spent }) => sum + spent, 0n))

const COLUMNS = ['id', 'createdAt', 'kind', 'model', 'status', 'provider', 'waitMs', 'runMs', 'price'] as const

/** The tasks as a table (RFC 4180): times by ISO 8601, prices in tokens, what is not known left empty. */
export function csvOf(tasks: readonly TaskSummary[]): string {
  const rows = tasks.map((task) =>
    COLUMNS.map((column) => {
      if (column === 'createdAt') return new Date(task.createdAt).toISOString()
      return cell(String(task[column] ?? ''))
    }).join(','),
  )
  return [COLUMNS.join(','), ...rows, ''].join('\r\n')
}

/** Providers name their models as they like: one that a spreadsheet would take for a formula is marked as text. */
function cell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
