import { Hono } from 'hono'
import { mergedForecast, mergedRecord } from '#core/merged-forecast.ts'
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
    async (c) => {
      const only = c.req.valid('query')
      return c.json(mergedForecast(await networkOf(c.env).everywhere((market) => market.forecast(only))))
    },
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
    async (c) => {
      const only = c.req.valid('query')
      return c.json(mergedRecord(await networkOf(c.env).everywhere((market) => market.forecastRecord(only))))
    },
  )
