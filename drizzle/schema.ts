/** What is in D1: read models fed by the objects' events and the chain's logs. Nothing here is the only record of anything, and all can be rebuilt. */
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

/** Hours of the public log that are closed; see core/hour-log.ts. */
export const logHours = sqliteTable('log_hours', {
  /** Since 1970. */
  hour: integer('hour').primaryKey(),
  /** JSON. */
  head: text('head').notNull(),
})

/** What came of each requester's tasks in a closed hour; its last lines, see core/requester-reputation.ts. */
export const requesterHours = sqliteTable(
  'requester_hours',
  {
    hour: integer('hour').notNull(),
    /** The name by which the log tells of it. */
    requester: text('requester').notNull(),
    succeeded: integer('succeeded').notNull(),
    cancelled: integer('cancelled').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.hour, table.requester] }),
    index('requester_hours_requester').on(table.requester),
  ],
)

/** What came of each provider's attempts in a closed hour; counted from its lines, see core/provider-history.ts. */
export const providerHours = sqliteTable(
  'provider_hours',
  {
    provider: text('provider').notNull(),
    hour: integer('hour').notNull(),
    succeeded: integer('succeeded').notNull(),
    failed: integer('failed').notNull(),
    wrong: integer('wrong').notNull(),
    checked: integer('checked').notNull(),
    /** Tokens, as a decimal string. */
    paid: text('paid').notNull(),
  },
  (table) => [primaryKey({ columns: [table.provider, table.hour] })],
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

/** Deposits and withdrawals on the chain, as its logs tell them; can be read from the chain again. */
export const chainMoves = sqliteTable(
  'chain_moves',
  {
    /** The contract that told it: another deployment has books of its own. */
    settlement: text('settlement').notNull(),
    block: integer('block').notNull(),
    logIndex: integer('log_index').notNull(),
    blockHash: text('block_hash').notNull(),
    payer: text('payer').notNull(),
    /** Base units; negative when taken out. */
    amount: text('amount').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.settlement, table.block, table.logIndex] }),
    index('chain_moves_payer').on(table.settlement, table.payer),
  ],
)

/** Up to which block a contract's logs were read. */
export const chainCursors = sqliteTable('chain_cursors', {
  settlement: text('settlement').primaryKey(),
  block: integer('block').notNull(),
  blockHash: text('block_hash').notNull(),
})
