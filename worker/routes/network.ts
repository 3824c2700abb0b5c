import { Hono } from 'hono'
import * as z from 'zod'
import { FIRST_CELL } from '#core/cells.ts'
import { CostView } from '#core/cost.ts'
import { mergedBooks, mergedHistory, mergedSnapshot } from '#core/merged.ts'
import { BooksView, HistoryMinute, NetworkFrame, NetworkSnapshot, SeriesQuery } from '#core/protocol/network.ts'
import { type Env, networkOf } from '../env.ts'
import { operation } from '../middleware/operation.ts'
import { usageOfIsolate } from '../usage.ts'

const DAY_MS = 86_400_000

export const network = new Hono<{ Bindings: Env }>()
  .get(
    '/',
    operation({
      summary: 'The network now',
      details: 'The five headline metrics, the health score with its formulas, the last hour, and who provides.',
      access: 'anyone',
      answers: { 200: NetworkSnapshot },
    }),
    async (c) => c.json(mergedSnapshot(await networkOf(c.env).everywhere((market) => market.snapshot()))),
  )
  .get(
    '/books',
    operation({
      summary: "The market's money, in tokens",
      details: 'drawn = restored + held + available + captured, and captured = earned + fees.',
      access: 'anyone',
      answers: { 200: BooksView },
    }),
    async (c) => c.json(mergedBooks(await networkOf(c.env).everywhere((market) => market.books()))),
  )
  .get(
    '/cost',
    operation({
      summary: 'What the network uses of the platform, and what a million tasks cost by that',
      details:
        'Counted in memory by each part of the network, and told about once a minute; prices are those that the platform publishes.',
      access: 'anyone',
      answers: { 200: CostView },
    }),
    async (c) => {
      const { id, usage } = usageOfIsolate(Date.now())
      return c.json(await networkOf(c.env).market(FIRST_CELL).takeUsage(id, usage))
    },
  )
  .get(
    '/series',
    operation({
      summary: 'Minutes of the past, from the history',
      access: 'anyone',
      query: SeriesQuery,
      answers: { 200: z.object({ minutes: z.array(HistoryMinute) }) },
    }),
    async (c) => {
      const { to = Date.now(), from = to - DAY_MS } = c.req.valid('query')
      const { cells, history } = networkOf(c.env)
      return c.json({ minutes: mergedHistory(await history.readMinutes(cells, from, to)) })
    },
  )
  .get(
    '/socket',
    operation({
      summary: 'Watch the network by WebSocket',
      details: 'One snapshot, then deltas that replace the fields they name. On a gap in `seq`, connect again.',
      access: 'anyone',
      frames: { down: NetworkFrame },
    }),
    (c) =>
      networkOf(c.env)
        .feed()
        .fetch('https://feed/', { headers: { upgrade: 'websocket' } }),
  )
