import { Hono } from 'hono'
import { ForecastQuery, ForecastRecord, ForecastView } from '#core/protocol/forecast.ts'
import { type Env, networkOf } from '../env.ts'
import { operation } from '../middleware/operation.ts'

export const forecast = new Hono<{ Bindings: Env }>()
  .get(
    '/',
    operation({
      summary: 'What is ahead of each class of work',
      details:
        'Demand, the index price, what a slot earns, and when a task would start and finish, each as p10, p50 and p90; what to ask, when slots will be short, and what has fallen suddenly.',
      access: 'anyone',
      query: ForecastQuery,
      answers: { 200: ForecastView },
    }),
    async (c) => c.json(await networkOf(c.env).market().forecast(c.req.valid('query'))),
  )
  .get(
    '/record',
    operation({
      summary: 'How good the forecasts have been',
      details:
        'What was said of each of the last hours when it began, beside what came; and how often outcomes lay below each quantile.',
      access: 'anyone',
      query: ForecastQuery,
      answers: { 200: ForecastRecord },
    }),
    async (c) => c.json(await networkOf(c.env).market().forecastRecord(c.req.valid('query'))),
  )
