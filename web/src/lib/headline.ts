/** The five headline figures as the page words them; what they mean is decided in core/health.ts. Pure. */
import type { Metrics, NetworkSnapshot } from '#core/protocol/network.ts'
import { formatCount, formatScore, formatShare, formatUnitInterval } from './format/number.ts'
import { countSlots } from './provider-list.ts'

export type Headline = {
  metric: keyof Metrics
  label: string
  value: string
  caption: string
  formula: string
  /** Where what it is computed of can be read, one by one. */
  source: `/v1/${string}`
}

export function headlines(snapshot: NetworkSnapshot): Headline[] {
  const { metrics, reputation, providers, minutes } = snapshot
  const { slots, busy } = countSlots(providers)
  const submitted = minutes.reduce((sum, minute) => sum + minute.submitted, 0)
  return [
    {
      metric: 'totalProviders',
      label: 'Total providers',
      value: formatCount(metrics.totalProviders),
      caption:
        metrics.totalProviders > 0
          ? `${formatShare(metrics.activeProviders, metrics.totalProviders)} active`
          : 'none registered yet',
      formula: 'Every provider that ever registered with this network.',
      source: '/v1/providers',
    },
    {
      metric: 'activeProviders',
      label: 'Active providers',
      value: formatCount(metrics.activeProviders),
      caption: slots > 0 ? `${formatCount(busy)} of ${formatCount(slots)} slots busy` : 'none connected',
      formula: 'Providers that are connected now, or were heard of in the last 60 seconds.',
      source: '/v1/providers',
    },
    {
      metric: 'totalTasks',
      label: 'Total tasks',
      value: formatCount(metrics.totalTasks),
      caption: `${formatCount(submitted)} in the last hour`,
      formula: 'Every task this network ever accepted, whatever became of it.',
      source: '/v1/exports',
    },
    {
      metric: 'averageReputation',
      label: 'Average reputation',
      value: formatUnitInterval(metrics.averageReputation),
      caption: reputation
        ? `${formatUnitInterval(reputation.low, 2)}–${formatUnitInterval(reputation.high, 2)}, 90 % interval`
        : 'not known yet',
      formula:
        'The mean reputation of the providers heard of in the last 24 hours. A reputation is the expected chance, from 0 to 1, that a task given to the provider succeeds, learnt from how its tasks ended.',
      source: '/v1/reputations',
    },
    {
      metric: 'healthScore',
      label: 'Network health',
      value: formatScore(metrics.healthScore),
      caption: metrics.healthScore === null ? 'not known yet' : 'of 100',
      formula: '100 × the weighted geometric mean of the components that can be measured. One at 0 makes it 0.',
      source: '/v1/network/series',
    },
  ]
}
