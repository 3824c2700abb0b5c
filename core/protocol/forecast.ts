/** Forecasts. */
import * as z from 'zod'
import { Amount, Count, Name, Time } from './values.ts'
import { Kind } from './work.ts'

const Basis = z
  .enum(['early', 'learned'])
  .describe('Early: less than forty outcomes of its kind have been seen, and p10 to p90 is wide for that reason.')
const Quantiles = z.object({ p10: z.number(), p50: z.number(), p90: z.number(), basis: Basis })

export const ForecastQuery = z.object({
  kind: Kind.optional(),
  model: Name.optional(),
})

/** What is ahead of one class of work. Null is not known. */
export const ClassForecast = z.object({
  kind: Kind,
  model: z.string(),
  providers: Count.describe('Those that offer it now.'),
  demand: z
    .object({
      latest: z.number().describe('Tasks submitted in the latest ten minutes that were counted.'),
      tenMinutes: Quantiles,
      hour: Quantiles,
      day: Quantiles,
    })
    .nullable()
    .describe('Tasks submitted in the ten minutes, the hour and the day from `from` on.'),
  price: z
    .object({
      unit: z.string(),
      latest: Amount.describe('Sum of prices / sum of units of the latest ten minutes that sold any.'),
      hour: z.object({ p10: Amount, p50: Amount, p90: Amount, basis: Basis }).describe('The mean of the next hour.'),
    })
    .nullable()
    .describe('Index price of a unit, in tokens.'),
  waitMs: Quantiles.nullable().describe(
    'Milliseconds until a task submitted now by somebody with none waiting starts.',
  ),
  finishMs: Quantiles.nullable().describe('Milliseconds until it is finished.'),
})
export type ClassForecast = z.output<typeof ClassForecast>

export const ForecastView = z
  .object({
    at: Time,
    from: Time.nullable().describe('Up to when demand and prices were counted; null before the first count.'),
    classes: z.array(ClassForecast).describe('Every class that was ever offered, by kind and model.'),
  })
  .meta({ id: 'Forecast' })
export type ForecastView = z.output<typeof ForecastView>
