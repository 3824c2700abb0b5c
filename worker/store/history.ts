/** The history in D1. Written in batches by effects and cron, read by pages; never on the path of a task. */
import { and, asc, between, desc, eq, getTableColumns, gt, inArray, lt, lte, notInArray, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { HourHead } from '#core/hour-log.ts'
import type { Metrics, Minute } from '#core/protocol/network.ts'
import type { Address } from '#core/protocol/values.ts'
import type { ProviderHour, ProviderTally } from '#core/provider-history.ts'
import { hourOf, type TaskRecord } from '#core/public-log.ts'
import type { HourTally, RequesterTally } from '#core/requester-reputation.ts'
import type { Whose } from '#core/task-list.ts'
import { logHours, minutes, providerHours, requesterHours, taskPages } from '#drizzle/schema.ts'
import { used } from '../usage.ts'

export type HistoryTask = TaskRecord & { requester: Address }

/** Rows a statement may carry: D1 binds at most 100 parameters. */
const MINUTES_A_STATEMENT = 8
const REQUESTERS_A_STATEMENT = 25
const PROVIDERS_A_STATEMENT = 14
/** Minutes that are told at a time: a week. */
const MINUTES_READ = 10_080
/** Pages read at a time. */
const PAGES_A_READ = 16
/** Hours listed: two years. */
const HOURS_LISTED = 17_520

export type History = ReturnType<typeof openHistory>

export function openHistory(database: D1Database) {
  const db = drizzle(database)
  const counted = async (work: Promise<D1Result>) => {
    const { meta } = await work
    used.database.rowsWritten += meta.rows_written
  }
  return {
    /** Keeps a pack of ended tasks; saving it again changes nothing. */
    async savePage(cell: string, pack: number, tasks: HistoryTask[]): Promise<void> {
      const times = tasks.map(({ createdAt }) => createdAt)
      const page = {
        cell,
        pack,
        firstAt: Math.min(...times),
        lastAt: Math.max(...times),
        count: tasks.length,
        // Never of an hour that is closed, whatever the clocks say.
        hour: sql`max(${hourOf(tasks.at(-1)!.finishedAt)}, coalesce((select max(hour) + 1 from log_hours), 0))`,
        tasks: JSON.stringify(tasks),
      }
      await counted(db.insert(taskPages).values(page).onConflictDoNothing().run())
    },

    /** The hours of which there are pages, latest first. */
    async readHours(cells: readonly string[]): Promise<{ hour: number; records: number }[]> {
      return db
        .select({ hour: taskPages.hour, records: sql<number>`sum(${taskPages.count})` })
        .from(taskPages)
        .where(and(inArray(taskPages.cell, [...cells]), gt(taskPages.hour, 0)))
        .groupBy(taskPages.hour)
        .orderBy(desc(taskPages.hour))
        .limit(HOURS_LISTED)
    },

    /** Hours before this one that are not closed, oldest first. */
    async readOpenHours(cells: readonly string[], before: number): Promise<number[]> {
      const rows = await db
        .selectDistinct({ hour: taskPages.hour })
        .from(taskPages)
        .where(
          and(
            inArray(taskPages.cell, [...cells]),
            gt(taskPages.hour, 0),
            lt(taskPages.hour, before),
            notInArray(taskPages.hour, db.select({ hour: logHours.hour }).from(logHours)),
          ),
        )
        .orderBy(asc(taskPages.hour))
      return rows.map(({ hour }) => hour)
    },

    /** Closes an hour with the lines it ends by and what it says of providers; closing it again changes nothing. */
    async saveHead(
      hour: number,
      head: HourHead,
      { requesters, providers }: { requesters: RequesterTally[]; providers: ProviderTally[] },
    ): Promise<void> {
      const at = <T extends object>(tally: T) => ({ hour, ...tally })
      const results = await db.batch([
        db
          .insert(logHours)
          .values({ hour, head: JSON.stringify(head) })
          .onConflictDoNothing(),
        ...partsOf(requesters.map(at), REQUESTERS_A_STATEMENT).map((part) =>
          db.insert(requesterHours).values(part).onConflictDoNothing(),
        ),
        ...partsOf(providers.map(at), PROVIDERS_A_STATEMENT).map((part) =>
          db.insert(providerHours).values(part).onConflictDoNothing(),
        ),
      ])
      for (const { meta } of results) used.database.rowsWritten += meta.rows_written
    },

    /** The lines that a closed hour ends by, in their order. */
    readTallies: (hour: number): Promise<RequesterTally[]> =>
      db
        .select({
          requester: requesterHours.requester,
          succeeded: requesterHours.succeeded,
          cancelled: requesterHours.cancelled,
        })
        .from(requesterHours)
        .where(eq(requesterHours.hour, hour))
        .orderBy(asc(requesterHours.requester)),

    /** All that was told of one requester, or of every, up to an hour. */
    readTalliesUntil: (hour: number, requester?: string): Promise<HourTally[]> =>
      db
        .select()
        .from(requesterHours)
        .where(
          and(
            lte(requesterHours.hour, hour),
            requester === undefined ? undefined : eq(requesterHours.requester, requester),
          ),
        ),

    /** What came of a provider's attempts in closed hours, the earliest first. */
    readProviderHours(provider: Address): Promise<ProviderHour[]> {
      const { provider: _, ...columns } = getTableColumns(providerHours)
      const own = db.select(columns).from(providerHours).where(eq(providerHours.provider, provider))
      return own.orderBy(asc(providerHours.hour))
    },

    async readLastHead(): Promise<HourHead | null> {
      const [row] = await db.select().from(logHours).orderBy(desc(logHours.hour)).limit(1)
      return row ? (JSON.parse(row.head) as HourHead) : null
    },

    /** Null while the hour is not closed. */
    async readHead(hour: number): Promise<HourHead | null> {
      const [row] = await db.select().from(logHours).where(eq(logHours.hour, hour))
      return row ? (JSON.parse(row.head) as HourHead) : null
    },

    /** The heads of closed hours from one to another, the earliest first, so many at most. */
    async readHeads(from: number, to: number, limit: number): Promise<HourHead[]> {
      const rows = await db
        .select()
        .from(logHours)
        .where(between(logHours.hour, from, to))
        .orderBy(asc(logHours.hour))
        .limit(limit)
      return rows.map(({ head }) => JSON.parse(head) as HourHead)
    },

    /** A market's pages of an hour, page by page in the order of the log. */
    async *readPages(cell: string, hour: number): AsyncGenerator<HistoryTask[]> {
      for (let last = 0; ; ) {
        const pages = await db
          .select()
          .from(taskPages)
          .where(and(eq(taskPages.cell, cell), eq(taskPages.hour, hour), gt(taskPages.pack, last)))
          .orderBy(asc(taskPages.pack))
          .limit(PAGES_A_READ)
        for (const { pack, tasks } of pages) {
          last = pack
          yield JSON.parse(tasks) as HistoryTask[]
        }
        if (pages.length < PAGES_A_READ) return
      }
    },

    /** The last minute of a market that is kept; 0 before there is one. */
    async readLastMinute(cell: string): Promise<number> {
      const [row] = await db
        .select({ at: minutes.at })
        .from(minutes)
        .where(eq(minutes.cell, cell))
        .orderBy(desc(minutes.at))
        .limit(1)
      return row?.at ?? 0
    },

    /** Keeps a market's minutes; a minute saved again is replaced. The metrics belong to the last of them. */
    async saveMinutes(cell: string, counts: Minute[], metrics: Metrics): Promise<void> {
      const rows = counts.map((minute, i) => ({ cell, ...minute, ...(i === counts.length - 1 ? metrics : {}) }))
      for (let i = 0; i < rows.length; i += MINUTES_A_STATEMENT) {
        await counted(
          db
            .insert(minutes)
            .values(rows.slice(i, i + MINUTES_A_STATEMENT))
            .onConflictDoUpdate({
              target: [minutes.cell, minutes.at],
              set: {
                submitted: sql`excluded.submitted`,
                succeeded: sql`excluded.succeeded`,
                failed: sql`excluded.failed`,
                waitP50Ms: sql`excluded.wait_p50_ms`,
                waitP95Ms: sql`excluded.wait_p95_ms`,
                volume: sql`excluded.volume`,
                totalProviders: sql`coalesce(excluded.total_providers, total_providers)`,
                activeProviders: sql`coalesce(excluded.active_providers, active_providers)`,
                averageReputation: sql`coalesce(excluded.average_reputation, average_reputation)`,
                healthScore: sql`coalesce(excluded.health_score, health_score)`,
              },
            })
            .run(),
        )
      }
    },

    /**
     * Pages with tasks that somebody asked for or ran, of those before a number; the latest first, `limit` at most. A page also
     * holds the tasks of others.
     */
    async readPagesOf({ by, address }: Whose, before: number | undefined, limit: number) {
      const named = `"${by}":"${address}"`
      const number = sql<number>`rowid`
      const rows = await db
        .select({ number, tasks: taskPages.tasks })
        .from(taskPages)
        .where(and(sql`instr(${taskPages.tasks}, ${named}) > 0`, before === undefined ? undefined : lt(number, before)))
        .orderBy(desc(number))
        .limit(limit)
      return rows.map(({ number, tasks }) => ({ number, tasks: JSON.parse(tasks) as HistoryTask[] }))
    },

    /** The minutes of these markets from `from` to `to`, Unix milliseconds, oldest first. */
    async readMinutes(cells: readonly string[], from: number, to: number) {
      const { cell: _, ...columns } = getTableColumns(minutes)
      return db
        .select(columns)
        .from(minutes)
        .where(and(inArray(minutes.cell, [...cells]), between(minutes.at, from, to)))
        .orderBy(asc(minutes.at))
        .limit(MINUTES_READ * cells.length)
    },
  }
}

const partsOf = <T>(rows: T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(rows.length / size) }, (_, i) => rows.slice(i * size, (i + 1) * size))
