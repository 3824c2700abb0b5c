/** The five headline figures as the page words them. Pure; null snapshot while nothing is known yet. */
import type { Metrics, NetworkSnapshot } from '#core/protocol.ts'
import { formatCount, formatScore, formatShare, formatUnitInterval } from './format/number.ts'
import { countSlots } from './provider-list.ts'

export type Headline = { metric: keyof Metrics; label: string; value: string; caption: string; formula: string }

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
      formula: 'Every provider that has registered with this network, active or not.',
    },
    {
      metric: 'activeProviders',
      label: 'Active providers',
      value: formatCount(metrics.activeProviders),
      caption: slots > 0 ? `${formatCount(busy)} of ${formatCount(slots)} slots busy` : 'none connected',
      formula: 'Providers the edge can give work to now: registered, and heard from recently.',
    },
    {
      metric: 'totalTasks',
      label: 'Total tasks',
      value: formatCount(metrics.totalTasks),
      caption: `${formatCount(submitted)} in the last hour`,
      formula: 'Every task ever submitted to this network, whatever became of it.',
    },
    {
      metric: 'averageReputation',
      label: 'Average reputation',
      value: formatUnitInterval(metrics.averageReputation),
      caption: reputation
        ? `${formatUnitInterval(reputation.low, 2)} to ${formatUnitInterval(reputation.high, 2)}, 90 % interval`
        : 'not known yet',
      formula:
        'The mean of the providers’ reputations, each from 0 to 1 and learnt from how the provider’s tasks ended. The interval holds nine tenths of what it may really be.',
    },
    {
      metric: 'healthScore',
      label: 'Network health',
      value: formatScore(metrics.healthScore),
      caption: metrics.healthScore === null ? 'not known yet' : 'of 100',
      formula: 'The weighted mean of the components below, from 0 to 100.',
    },
  ]
}
