/** Deposits and withdrawals on the chain, and how far its logs were read. In D1, and read again from the chain if that is lost. */
import { and, desc, eq, gte, inArray, lt } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { Address } from '#core/protocol/values.ts'
import { chainCursors, chainMoves } from '#drizzle/schema.ts'
import { used } from '../usage.ts'

/** A block, with its hash, so that another at the same height is not taken for it. */
export type BlockMark = { block: number; blockHash: string }
/** `amount` came into the payer's account, base units; negative when it was taken out. */
export type Move = BlockMark & { logIndex: number; payer: Address; amount: bigint }

/** Rows a statement may carry: D1 binds at most 100 parameters. */
const MOVES_A_STATEMENT = 16
const PAYERS_A_STATEMENT = 90
const BLOCKS_A_PAGE = 50

export type Deposits = ReturnType<typeof openDeposits>

/** Of one settlement contract: another has books of its own. */
export function openDeposits(database: D1Database, settlement: Address) {
  const db = drizzle(database)
  const ours = eq(chainMoves.settlement, settlement)
  const { block, blockHash, payer } = chainMoves

  return {
    /** The last block that was read. */
    async cursor(): Promise<BlockMark | null> {
      const { block, blockHash } = chainCursors
      const where = eq(chainCursors.settlement, settlement)
      const [row] = await db.select({ block, blockHash }).from(chainCursors).where(where)
      return row ?? null
    },

    /** Blocks that hold moves, those before `before`, latest first; some of them. */
    async blocksBefore(before: number): Promise<BlockMark[]> {
      const distinct = db.selectDistinct({ block, blockHash }).from(chainMoves)
      return distinct
        .where(and(ours, lt(block, before)))
        .orderBy(desc(block))
        .limit(BLOCKS_A_PAGE)
    },

    /** Who moved anything in the blocks from `from` on. */
    async payersFrom(from: number): Promise<Address[]> {
      const rows = await db
        .selectDistinct({ payer })
        .from(chainMoves)
        .where(and(ours, gte(block, from)))
      return rows.map((row) => row.payer as Address)
    },

    /** What each of these had deposited and not taken out before the block `before`, base units. */
    async totalsBefore(before: number, payers: Address[]): Promise<Map<Address, bigint>> {
      const totals = new Map(payers.map((address) => [address, 0n]))
      for (let i = 0; i < payers.length; i += PAYERS_A_STATEMENT) {
        const some = inArray(payer, payers.slice(i, i + PAYERS_A_STATEMENT))
        const rows = await db
          .select()
          .from(chainMoves)
          .where(and(ours, lt(block, before), some))
        for (const row of rows) {
          const address = row.payer as Address
          totals.set(address, totals.get(address)! + BigInt(row.amount))
        }
      }
      return totals
    },

    /** Puts these moves in the place of all from block `from` on, and the cursor to `to`: all of it or nothing. */
    async advance(from: number, moves: Move[], to: BlockMark): Promise<void> {
      const rows = moves.map((move) => ({ settlement, ...move, amount: move.amount.toString() }))
      const pieces: (typeof rows)[] = []
      for (let i = 0; i < rows.length; i += MOVES_A_STATEMENT) pieces.push(rows.slice(i, i + MOVES_A_STATEMENT))
      const cursor = db.insert(chainCursors).values({ settlement, ...to })
      const results = await db.batch([
        db.delete(chainMoves).where(and(ours, gte(block, from))),
        ...pieces.map((piece) => db.insert(chainMoves).values(piece)),
        cursor.onConflictDoUpdate({ target: chainCursors.settlement, set: to }),
      ])
      for (const { meta } of results) used.database.rowsWritten += meta.rows_written
    },
  }
}
