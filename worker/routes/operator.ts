import { Hono } from 'hono'
import * as z from 'zod'
import { FIRST_CELL } from '#core/cells.ts'
import { mergedBooks, mergedSnapshot } from '#core/merged.ts'
import { metricsText, PROMETHEUS_TYPE } from '#core/prometheus.ts'
import { type Env, type Network, networkOf } from '../env.ts'
import { logError } from '../log.ts'
import { operation } from '../middleware/operation.ts'
import { usageOfIsolate } from '../usage.ts'

const PARTS = ['market', 'database', 'blobs', 'chain'] as const
type Part = (typeof PARTS)[number]
const Ready = z.object({ ready: z.boolean(), parts: z.partialRecord(z.enum(PARTS), z.boolean()) })

export const operator = new Hono<{ Bindings: Env }>()
  .get(
    '/metrics',
    operation({
      summary: "The market's counts in Prometheus' text format",
      access: 'operator',
      answers: { 200: 'text/plain' },
    }),
    async (c) => {
      const { market, everywhere } = networkOf(c.env)
      const { id, usage } = usageOfIsolate(Date.now())
      const [snapshots, books, cost] = await Promise.all([
        everywhere((cell) => cell.snapshot()),
        everywhere((cell) => cell.books()),
        market(FIRST_CELL).takeUsage(id, usage),
      ])
      return c.body(metricsText(mergedSnapshot(snapshots), mergedBooks(books), cost), 200, {
        'content-type': PROMETHEUS_TYPE,
      })
    },
  )
  .get(
    '/ready',
    operation({
      summary: 'Whether each part that the edge needs answers',
      details:
        '503 when one does not. Without its database or chain the edge goes on to take tasks within what accounts have.',
      access: 'operator',
      answers: { 200: Ready, 503: Ready },
    }),
    async (c) => {
      const parts = await partsOf(networkOf(c.env))
      const ready = Object.values(parts).every((answers) => answers)
      return c.json({ ready, parts }, ready ? 200 : 503)
    },
  )

async function partsOf({ everywhere, history, blobs, chain }: Network): Promise<Partial<Record<Part, boolean>>> {
  const asked: Partial<Record<Part, Promise<unknown>>> = {
    market: everywhere((market) => market.books()),
    database: history.readLastHead(),
    blobs: blobs.isThere(),
    ...(chain && { chain: chain.reader.confirmedBlock() }),
  }
  const answers = Object.entries(asked).map(async ([part, answer]) => {
    try {
      await answer
      return [part, true] as const
    } catch (error) {
      logError('part_away', error, { part })
      return [part, false] as const
    }
  })
  return Object.fromEntries(await Promise.all(answers))
}
