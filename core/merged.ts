/**
 * What the cells of a market tell of themselves, as what the network tells. Counts and amounts are added; a share or a mean is weighted by how
 * many it is of; of upper bounds for the same part of the tasks the highest is one for all of them.
 */
import { DECISIONS_SHOWN } from './decision.ts'
import { healthScore } from './health.ts'
import { classOf } from './matching.ts'
import { formatAmount, max, min, parseAmount } from './money.ts'
import type { DecisionView } from './protocol/decision.ts'
import type { ModelView } from './protocol/model.ts'
import type { BooksView, HealthComponent, HistoryMinute, Metrics, Minute, NetworkSnapshot } from './protocol/network.ts'
import type { TaskStatus } from './protocol/task.ts'
import type { Interval } from './protocol/values.ts'
import { MINUTES_KEPT } from './stats.ts'
import { byStanding, LATEST_SHOWN, MATCHES_SHOWN, PROVIDERS_SHOWN } from './views.ts'

/** @param cells at least one, each of them as it stands now */
export function mergedSnapshot(cells: NetworkSnapshot[]): NetworkSnapshot {
  const [first, ...others] = cells
  if (others.length === 0) return first!
  const health = mergedHealth(cells.map((cell) => cell.health))
  const reputation = mergedReputation(cells)
  const sum = (name: 'totalProviders' | 'activeProviders' | 'totalTasks') =>
    total(cells.map(({ metrics }) => metrics[name]))
  const metrics: Metrics = {
    totalProviders: sum('totalProviders'),
    activeProviders: sum('activeProviders'),
    totalTasks: sum('totalTasks'),
    averageReputation: reputation?.mean ?? null,
    healthScore: healthScore(health),
  }
  const statuses = Object.keys(first!.status) as TaskStatus[]
  return {
    at: Math.max(...cells.map(({ at }) => at)),
    metrics,
    reputation,
    health,
    status: Object.fromEntries(
      statuses.map((status) => [status, total(cells.map((cell) => cell.status[status]))]),
    ) as NetworkSnapshot['status'],
    minutes: mergedMinutes(cells.flatMap(({ minutes }) => minutes)).slice(-MINUTES_KEPT),
    latest: latestOf(
      cells,
      ({ latest }) => latest,
      ({ createdAt }) => createdAt,
      LATEST_SHOWN,
    ),
    matches: latestOf(
      cells,
      ({ matches }) => matches,
      ({ at }) => at,
      MATCHES_SHOWN,
    ),
    simulated: cells.some(({ simulated }) => simulated),
    providers: cells
      .flatMap(({ providers }) => providers)
      .sort(byStanding)
      .slice(0, PROVIDERS_SHOWN),
  }
}

const latestOf = <T, U>(cells: T[], list: (cell: T) => U[], at: (one: U) => number, most: number): U[] =>
  cells
    .flatMap(list)
    .sort((x, y) => at(y) - at(x))
    .slice(0, most)

function mergedHealth(cells: HealthComponent[][]): HealthComponent[] {
  return cells[0]!.map((component, i) => {
    const same = cells.map((components) => components[i]!)
    return { ...component, value: mean(same), of: total(same.map(({ of }) => of)) }
  })
}

function mergedReputation(cells: NetworkSnapshot[]): Interval | null {
  const known = cells.flatMap(({ reputation, health }) => {
    const of = health.find(({ name }) => name === 'reputation')!.of
    return reputation ? [{ reputation, of }] : []
  })
  if (known.length === 0) return null
  const part = (name: keyof Interval) => mean(known.map(({ reputation, of }) => ({ value: reputation[name], of })))!
  return { low: part('low'), mean: part('mean'), high: part('high') }
}

/** The minutes of several cells by their times, oldest first. */
export function mergedMinutes<M extends Minute>(minutes: M[]): M[] {
  const merged = new Map<number, M>()
  for (const minute of minutes) {
    const known = merged.get(minute.at)
    merged.set(minute.at, known ? { ...known, ...mergedMinute(known, minute) } : minute)
  }
  return [...merged.values()].sort((x, y) => x.at - y.at)
}

const mergedMinute = (x: Minute, y: Minute): Minute => ({
  at: x.at,
  submitted: x.submitted + y.submitted,
  succeeded: x.succeeded + y.succeeded,
  failed: x.failed + y.failed,
  waitP50Ms: highest(x.waitP50Ms, y.waitP50Ms),
  waitP95Ms: highest(x.waitP95Ms, y.waitP95Ms),
  volume: plus(x.volume, y.volume),
})

/** The same of minutes that the history keeps; what is a mean there is weighted by the providers that were active. */
export function mergedHistory(rows: HistoryMinute[]): HistoryMinute[] {
  const byTime = Map.groupBy(rows, ({ at }) => at)
  return mergedMinutes(rows).map((minute) => {
    const same = byTime.get(minute.at)!
    const known = same.filter(({ totalProviders }) => totalProviders !== null)
    const sum = (name: 'totalProviders' | 'activeProviders') =>
      known.length === 0 ? null : total(known.map((row) => row[name] ?? 0))
    const weighted = (name: 'averageReputation' | 'healthScore') =>
      mean(known.map((row) => ({ value: row[name], of: row.activeProviders ?? 0 })))
    return {
      ...minute,
      totalProviders: sum('totalProviders'),
      activeProviders: sum('activeProviders'),
      averageReputation: weighted('averageReputation'),
      healthScore: weighted('healthScore'),
    }
  })
}

export function mergedBooks(cells: BooksView[]): BooksView {
  const names = Object.keys(cells[0]!) as (keyof BooksView)[]
  return Object.fromEntries(names.map((name) => [name, cells.map((cell) => cell[name]).reduce(plus)])) as BooksView
}

export const mergedDecisions = (cells: DecisionView[][]): DecisionView[] =>
  latestOf(
    cells,
    (decisions) => decisions,
    ({ at }) => at,
    DECISIONS_SHOWN,
  )

export function mergedModels(cells: ModelView[][]): ModelView[] {
  const byClass = Map.groupBy(cells.flat(), ({ kind, id }) => classOf({ kind, model: id }))
  return [...byClass.values()].map((same) => same.reduce(mergedModel)).sort((x, y) => (x.id < y.id ? -1 : 1))
}

function mergedModel(x: ModelView, y: ModelView): ModelView {
  const all = (name: 'quantizations' | 'digests' | 'capabilities') => [...new Set([...x[name], ...y[name]])].sort()
  const price =
    x.price && y.price
      ? { unit: x.price.unit, least: lesser(x.price.least, y.price.least), most: greater(x.price.most, y.price.most) }
      : (x.price ?? y.price)
  return {
    ...x,
    created: Math.min(x.created, y.created),
    providers: x.providers + y.providers,
    ask: price?.least ?? null,
    price,
    context: highest(x.context, y.context),
    quantizations: all('quantizations'),
    digests: all('digests'),
    capabilities: all('capabilities'),
    speed: highest(x.speed, y.speed),
    latency: {
      waitP50Ms: highest(x.latency.waitP50Ms, y.latency.waitP50Ms),
      waitP95Ms: highest(x.latency.waitP95Ms, y.latency.waitP95Ms),
      runP50Ms: highest(x.latency.runP50Ms, y.latency.runP50Ms),
      runP95Ms: highest(x.latency.runP95Ms, y.latency.runP95Ms),
    },
  }
}

export const total = (values: number[]): number => values.reduce((sum, value) => sum + value, 0)
const plus = (x: string, y: string): string => formatAmount(parseAmount(x) + parseAmount(y))
const lesser = (x: string, y: string): string => formatAmount(min(parseAmount(x), parseAmount(y)))
const greater = (x: string, y: string): string => formatAmount(max(parseAmount(x), parseAmount(y)))
const highest = (x: number | null, y: number | null): number | null =>
  x === null ? y : y === null ? x : Math.max(x, y)

/** Weighted by of how many each is; null when none is known. */
function mean(parts: { value: number | null; of: number }[]): number | null {
  const known = parts.flatMap(({ value, of }) => (value === null || of === 0 ? [] : [{ value, of }]))
  return known.length === 0 ? null : total(known.map(({ value, of }) => value * of)) / total(known.map(({ of }) => of))
}
