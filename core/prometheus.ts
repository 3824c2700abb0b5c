/** The market's counts in Prometheus' text format, version 0.0.4. */
import type { CostView } from './cost.ts'
import type { BooksView, NetworkSnapshot } from './protocol/network.ts'

export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

type Family = {
  name: string
  type: 'counter' | 'gauge'
  help: string
  samples: [labels: string, value: number | null][]
}

/** @returns a line a sample; what cannot be measured yet is left out */
export function metricsText(
  { metrics, status, health }: Pick<NetworkSnapshot, 'metrics' | 'status' | 'health'>,
  books: BooksView,
  { parts }: CostView,
): string {
  const ended = ['succeeded', 'failed', 'cancelled', 'expired']
  const tasks = Object.entries(status)
  const families: Family[] = [
    one('daicn_tasks_submitted_total', 'counter', 'Tasks ever accepted.', metrics.totalTasks),
    {
      name: 'daicn_tasks_ended_total',
      type: 'counter',
      help: 'Tasks that ended, by how.',
      samples: tasks.filter(([is]) => ended.includes(is)).map(([is, count]) => [labels({ status: is }), count]),
    },
    {
      name: 'daicn_tasks_open',
      type: 'gauge',
      help: 'Tasks that have not ended, by how they stand.',
      samples: tasks.filter(([is]) => !ended.includes(is)).map(([is, count]) => [labels({ status: is }), count]),
    },
    one('daicn_providers', 'gauge', 'Providers that ever registered.', metrics.totalProviders),
    one(
      'daicn_providers_active',
      'gauge',
      'Providers connected, or heard of in the last minute.',
      metrics.activeProviders,
    ),
    one(
      'daicn_reputation_mean',
      'gauge',
      'Mean reputation of the providers of the last day.',
      metrics.averageReputation,
    ),
    one('daicn_health_score', 'gauge', 'The Network Health Score, 0 to 100.', metrics.healthScore),
    {
      name: 'daicn_health_component',
      type: 'gauge',
      help: 'What the score is made of, each 0 to 1.',
      samples: health.map(({ name, value }) => [labels({ component: name }), value]),
    },
    {
      name: 'daicn_tokens',
      type: 'gauge',
      help: "The market's money; drawn = restored + held + available + captured, captured = earned + fees.",
      samples: Object.entries(books).map(([entry, amount]) => [labels({ entry }), Number(amount)]),
    },
    {
      name: 'daicn_rows_written_total',
      type: 'counter',
      help: 'Rows of billed storage written, by part of the network.',
      samples: parts.map(({ part, rowsWritten }) => [labels({ part }), rowsWritten]),
    },
    {
      name: 'daicn_cost_usd_total',
      type: 'counter',
      help: "What the platform's published prices make of its use, by part; see GET /v1/network/cost.",
      samples: parts.map(({ part, usd }) => [labels({ part }), usd]),
    },
  ]
  return families.map(textOf).join('')
}

const one = (name: string, type: Family['type'], help: string, value: number | null): Family => ({
  name,
  type,
  help,
  samples: [['', value]],
})

/** Names and values here are ours, without quotes, backslashes or line ends that would need escapes. */
const labels = (pairs: Record<string, string>): string =>
  `{${Object.entries(pairs)
    .map(([name, value]) => `${name}="${value}"`)
    .join()}}`

function textOf({ name, type, help, samples }: Family): string {
  const lines = samples.flatMap(([labels, value]) => (value === null ? [] : `${name}${labels} ${value}\n`))
  return lines.length === 0 ? '' : `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`
}
