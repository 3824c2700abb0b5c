/** The history in D1: read models fed by the objects' events. Nothing is decided by reading it, and it can be rebuilt. */
import { index, integer, primaryKey, real, sqliteTable, text } from 'drizzle-orm/sqlite-core'

/** The public log: ended tasks, many to a row; a row is billed, its length is not. */
export const taskPages = sqliteTable(
  'task_pages',
  {
    cell: text('cell').notNull(),
    /** Number of the pack in its market's archive. */
    pack: integer('pack').notNull(),
    firstAt: integer('first_at').notNull(),
    lastAt: integer('last_at').notNull(),
    count: integer('count').notNull(),
    /** Of the public log, in hours since 1970: when the last of its tasks ended. */
    hour: integer('hour').notNull().default(0),
    /** JSON array of records, each with its requester. */
    tasks: text('tasks').notNull(),
  },
  (table) => [primaryKey({ columns: [table.cell, table.pack] }), index('task_pages_hour').on(table.cell, table.hour)],
)

/** What each market counted in each minute. */
export const minutes = sqliteTable(
  'minutes',
  {
    cell: text('cell').notNull(),
    at: integer('at').notNull(),
    submitted: integer('submitted').notNull(),
    succeeded: integer('succeeded').notNull(),
    failed: integer('failed').notNull(),
    waitP50Ms: integer('wait_p50_ms'),
    waitP95Ms: integer('wait_p95_ms'),
    /** Tokens, as a decimal string. */
    volume: text('volume').notNull(),
    totalProviders: integer('total_providers'),
    activeProviders: integer('active_providers'),
    averageReputation: real('average_reputation'),
    healthScore: real('health_score'),
  },
  (table) => [primaryKey({ columns: [table.cell, table.at] })],
)
