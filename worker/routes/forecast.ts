import { Hono } from 'hono'
import { ForecastQuery, ForecastView } from '#core/protocol/forecast.ts'
import { type Env, networkOf } from '../env.ts'
import { operation } from '../middleware/operation.ts'

export const forecast = new Hono<{ Bindings: Env }>().get(
  '/',
  operation({
    summary: 'What is ahead of each class of work',
    details: 'Demand, the index price, and when a task would start and finish, each as p10, p50 and p90.',
    access: 'anyone',
    query: ForecastQuery,
    answers: { 200: ForecastView },
  }),
  async (c) => c.json(await networkOf(c.env).market().forecast(c.req.valid('query'))),
)
