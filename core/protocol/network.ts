/** The network at a glance: metrics, history, the live feed. */
import * as z from 'zod'
import { MatchView } from './decision.ts'
import { Device } from './provider.ts'
import { TaskStatus } from './task.ts'
import { Address, Amount, Interval, Region, Time } from './values.ts'
import { Kind } from './work.ts'

/** The five headline metrics; formulas in core/health.ts. Null means not known yet. */
export const Metrics = z.object({
  totalProviders: z.int(),
  activeProviders: z.int(),
  totalTasks: z.int(),
  averageReputation: z.number().nullable(),
  healthScore: z.number().nullable(),
})
export type Metrics = z.output<typeof Metrics>

/** One finished or open task as the public sees it: no input, no output, no requester. */
export const TaskSummary = z.object({
  id: z.string(),
  kind: Kind,
  model: z.string(),
  status: TaskStatus,
  createdAt: Time,
  provider: Address.exactOptional(),
  waitMs: z.number().exactOptional().describe('From submit to the first grant.'),
  runMs: z.number().exactOptional().describe('From that grant to the end.'),
  price: Amount.exactOptional(),
})
export type TaskSummary = z.output<typeof TaskSummary>

/** Counts of one minute of the market. */
export const Minute = z.object({
  at: Time.describe('Its start, a multiple of 60,000.'),
  submitted: z.int(),
  succeeded: z.int(),
  failed: z.int(),
  waitP50Ms: z.number().nullable().describe('Upper bound of the wait of half of the tasks granted in this minute.'),
  waitP95Ms: z.number().nullable().describe('The same of 95 % of them.'),
  volume: Amount.describe('Sum of prices captured, in tokens.'),
})
export type Minute = z.output<typeof Minute>

/** A minute as the history keeps it, with the headline metrics at its end where they were known. */
export const HistoryMinute = Minute.extend({
  totalProviders: z.int().nullable(),
  activeProviders: z.int().nullable(),
  averageReputation: z.number().nullable(),
  healthScore: z.number().nullable(),
})
export type HistoryMinute = z.output<typeof HistoryMinute>

const TimeText = z
  .string()
  .regex(/^\d{1,15}$/, 'must be Unix milliseconds')
  .transform(Number)
export const SeriesQuery = z.object({
  from: TimeText.optional().describe('Unix milliseconds; a day before `to` when left out.'),
  to: TimeText.optional().describe('Unix milliseconds; now when left out.'),
})

/** One component of the Network Health Score: value in 0..1, or null when there is nothing to measure. */
export const HealthComponent = z.object({
  name: z.string(),
  label: z.string(),
  weight: z.number(),
  value: z.number().nullable(),
  of: z.int().describe('Of how many it is the share or the mean; 0 when it is null.'),
  formula: z.string(),
})
export type HealthComponent = z.output<typeof HealthComponent>

export const ProviderSummary = z.object({
  address: Address,
  name: z.string(),
  active: z.boolean(),
  region: Region.exactOptional(),
  reputation: Interval,
  slots: z.int(),
  busy: z.int(),
  offers: z.array(z.object({ kind: Kind, model: z.string(), ask: Amount, speed: z.number(), reputation: Interval })),
  devices: z.array(Device.omit({ id: true })).exactOptional(),
  succeeded: z.int(),
  failed: z.int(),
  earned: Amount,
})
export type ProviderSummary = z.output<typeof ProviderSummary>

export const NetworkSnapshot = z
  .object({
    at: Time,
    metrics: Metrics,
    reputation: Interval.nullable().describe(
      "90 % interval of the average reputation's providers' means, or null without providers.",
    ),
    health: z.array(HealthComponent),
    status: z.record(TaskStatus, z.int()),
    minutes: z.array(Minute).describe('The last 60, oldest first, without gaps.'),
    latest: z.array(TaskSummary).describe('Latest first, at most 20.'),
    matches: z.array(MatchView).describe('The latest tasks that were given out, and why to whom; at most 6.'),
    simulated: z.boolean().describe('Some of the active providers are simulated, and say so.'),
    providers: z.array(ProviderSummary),
  })
  .meta({ id: 'NetworkSnapshot' })
export type NetworkSnapshot = z.output<typeof NetworkSnapshot>

const Changes = NetworkSnapshot.partial() as unknown as z.ZodType<Partial<NetworkSnapshot>>

/** Frames of GET /v1/network/socket. `seq` grows by one a frame; on a gap, reconnect for a new snapshot. */
export const NetworkFrame = z
  .discriminatedUnion('type', [
    z.object({ seq: z.int(), type: z.literal('snapshot'), snapshot: NetworkSnapshot }),
    z.object({ seq: z.int(), type: z.literal('delta'), changes: Changes }),
  ])
  .meta({ id: 'NetworkFrame' })
export type NetworkFrame = z.output<typeof NetworkFrame>

export const Health = z.object({
  ok: z.literal(true),
  chainId: z.int(),
  court: Address.describe('The contract whose proofs receipts are; the zero address where there is none.'),
  address: Address.describe('Whose key countersigns receipts.'),
  development: z.boolean(),
  protocol: z.int(),
})

/** A market's money, in tokens: drawn = restored + held + available + captured, and captured = earned + fees. */
export const BooksView = z
  .record(z.enum(['drawn', 'restored', 'held', 'available', 'captured', 'earned', 'fees']), Amount)
  .meta({ id: 'BooksView' })
export type BooksView = z.output<typeof BooksView>
