/**
 * What a network uses of the platform, and what that comes to: counts of the running product times published prices. Not in it: processor
 * time of the Worker, what is kept at rest, uploads, and what the plan includes.
 */
import * as z from 'zod'

/** The Worker, the classes of its objects, and D1. */
export const PARTS = ['worker', 'market', 'account', 'room', 'feed', 'library', 'payments', 'database'] as const
export type Part = (typeof PARTS)[number]

/**
 * `requests`: from outside to the Worker; to an object, calls and upgrades. `messages`: in, from sockets. `awakeMs`: while an object
 * waited for something, which keeps it from hibernating; a Worker's waiting is free.
 */
export const Usage = z.object({
  requests: z.int(),
  messages: z.int(),
  alarms: z.int(),
  rowsRead: z.int(),
  rowsWritten: z.int(),
  awakeMs: z.int(),
})
export type Usage = z.infer<typeof Usage>
const COUNTS = Object.keys(Usage.shape) as (keyof Usage)[]

/** What one isolate has used since it began. `tasks`: ended in it, which only a market's isolate knows. */
export type IsolateUsage = { startedAt: number; tasks: number; parts: Record<Part, Usage> }

export const CostView = z.object({
  /** When the oldest of the isolates began that this counts. */
  since: z.int(),
  /** Tasks that ended since. */
  tasks: z.int(),
  parts: z.array(z.object({ part: z.enum(PARTS), ...Usage.shape, usd: z.number() })),
  usd: z.number(),
  /** US dollars for a million tasks as these were; null without any. */
  usdPerMillionTasks: z.number().nullable(),
})
export type CostView = z.infer<typeof CostView>

/**
 * US dollars, Workers Paid, beyond what is included, as published in November 2026 at developers.cloudflare.com:
 * workers/platform/pricing, durable-objects/platform/pricing, d1/platform/pricing.
 */
const PRICES = {
  workerRequest: 0.3e-6,
  objectRequest: 0.15e-6,
  gigabyteSecond: 12.5e-6,
  rowRead: 0.001e-6,
  rowWritten: 1e-6,
}
/** Messages that come in by sockets are billed as one request for so many. */
const MESSAGES_A_REQUEST = 20
/** What an object is billed for, however much of it it uses. */
const OBJECT_GIGABYTES = 0.128

/** US dollars. */
export function usdOf(part: Part, { requests, messages, alarms, rowsRead, rowsWritten, awakeMs }: Usage): number {
  const request = part === 'worker' ? PRICES.workerRequest : PRICES.objectRequest
  return (
    (requests + alarms + messages / MESSAGES_A_REQUEST) * request +
    rowsRead * PRICES.rowRead +
    rowsWritten * PRICES.rowWritten +
    (awakeMs / 1000) * OBJECT_GIGABYTES * PRICES.gigabyteSecond
  )
}

export const noUsage = (): Usage => ({
  requests: 0,
  messages: 0,
  alarms: 0,
  rowsRead: 0,
  rowsWritten: 0,
  awakeMs: 0,
})

/** What isolates have told. Of those that were not heard of for longest, only the sum is kept. */
export type Usages = { isolates: Map<string, IsolateUsage>; gone: IsolateUsage | null }
const MOST_ISOLATES = 1_000

export const noUsages = (): Usages => ({ isolates: new Map(), gone: null })

/** An isolate's totals take the place of those that it told before. */
export function keepUsage(usages: Usages, id: string, usage: IsolateUsage): void {
  const { isolates } = usages
  isolates.delete(id)
  isolates.set(id, usage)
  const [oldest] = isolates.keys()
  if (isolates.size <= MOST_ISOLATES) return
  const forgotten = isolates.get(oldest!)!
  usages.gone = usages.gone ? sumOf([usages.gone, forgotten]) : forgotten
  isolates.delete(oldest!)
}

/** What all of them have used, together. */
export function costOf({ isolates, gone }: Usages): CostView {
  const { startedAt, tasks, parts } = sumOf(gone ? [gone, ...isolates.values()] : [...isolates.values()])
  const priced = PARTS.map((part) => ({ part, ...parts[part], usd: usdOf(part, parts[part]) }))
  const usd = priced.reduce((sum, part) => sum + part.usd, 0)
  return { since: startedAt, tasks, parts: priced, usd, usdPerMillionTasks: tasks === 0 ? null : (usd / tasks) * 1e6 }
}

function sumOf(isolates: IsolateUsage[]): IsolateUsage {
  const parts = Object.fromEntries(PARTS.map((part) => [part, noUsage()])) as Record<Part, Usage>
  for (const isolate of isolates) {
    for (const part of PARTS) for (const count of COUNTS) parts[part][count] += isolate.parts[part][count]
  }
  return {
    startedAt: Math.min(...isolates.map(({ startedAt }) => startedAt)),
    tasks: isolates.reduce((sum, { tasks }) => sum + tasks, 0),
    parts,
  }
}
