/**
 * The five headline metrics and the Network Health Score.
 *
 * | metric            | formula |
 * |-------------------|---------|
 * | totalProviders    | providers that ever registered |
 * | activeProviders   | providers connected, or heard of in the last 60 s |
 * | totalTasks        | tasks ever accepted |
 * | averageReputation | mean, over providers heard of in the last 24 h, of the posterior mean of their reputation |
 * | healthScore       | 100 x weighted geometric mean of the components below that can be measured; one at 0 makes it 0 |
 */
import type { Book, Provider } from './book.ts'
import type { HealthComponent, Metrics } from './protocol/network.ts'
import type { Interval } from './protocol/values.ts'
import { interval, pooled } from './reputation.ts'
import { shareWithin } from './stats.ts'

const ACTIVE_MS = 60_000
const RECENT_MS = 24 * 3_600_000
const HOUR_MS = 3_600_000
const PROMPT_MS = 5_000

export const isActive = (provider: Provider, now: number): boolean =>
  provider.reachable || provider.leases.size > 0 || now - provider.heardAt < ACTIVE_MS

export function metricsOf(book: Book, now: number) {
  const providers = [...book.providers.values()]
  const active = providers.filter((provider) => isActive(provider, now))
  const recent = providers.filter((provider) => isActive(provider, now) || now - provider.heardAt < RECENT_MS)
  const reputation = meanInterval(recent.map(({ reputations }) => interval(pooled(reputations.values()))))
  const health = healthOf(book, active.length, recent.length, reputation, now)
  const metrics: Metrics = {
    totalProviders: providers.length,
    activeProviders: active.length,
    totalTasks: book.stats.totalTasks,
    averageReputation: reputation?.mean ?? null,
    healthScore: healthScore(health),
  }
  return { metrics, health, reputation }
}

function healthOf(
  book: Book,
  active: number,
  recent: number,
  reputation: Interval | null,
  now: number,
): HealthComponent[] {
  const minutes = book.stats.minutes.filter(({ at }) => at > now - HOUR_MS)
  const succeeded = minutes.reduce((sum, minute) => sum + minute.succeeded, 0)
  const failed = minutes.reduce((sum, minute) => sum + minute.failed, 0)
  return [
    {
      name: 'success',
      label: 'Tasks that succeed',
      weight: 0.4,
      value: succeeded + failed === 0 ? null : succeeded / (succeeded + failed),
      of: succeeded + failed,
      formula: 'succeeded / (succeeded + failed + expired), last hour',
    },
    {
      name: 'promptness',
      label: 'Tasks that start promptly',
      weight: 0.2,
      ...shareWithin(minutes, PROMPT_MS),
      formula: 'tasks given to a provider within 5 s of submission / tasks given to a provider, last hour',
    },
    {
      name: 'supply',
      label: 'Providers that are there',
      weight: 0.2,
      value: recent === 0 ? null : active / recent,
      of: recent,
      formula: 'active providers / providers heard of in the last 24 h',
    },
    {
      name: 'reputation',
      label: 'Average reputation',
      weight: 0.2,
      value: reputation?.mean ?? null,
      of: recent,
      formula: 'mean posterior chance of success of the providers heard of in the last 24 h',
    },
  ]
}

/** 100 x the weighted geometric mean of the known components, or null when none is known. */
export function healthScore(components: HealthComponent[]): number | null {
  const known = components.filter(({ value }) => value !== null)
  const weight = known.reduce((sum, component) => sum + component.weight, 0)
  if (weight === 0) return null
  const log = known.reduce((sum, component) => sum + component.weight * Math.log(component.value!), 0)
  return 100 * Math.exp(log / weight)
}

function meanInterval(intervals: Interval[]): Interval | null {
  if (intervals.length === 0) return null
  const mean = (pick: (i: Interval) => number) => intervals.reduce((sum, i) => sum + pick(i), 0) / intervals.length
  return { low: mean((i) => i.low), mean: mean((i) => i.mean), high: mean((i) => i.high) }
}
