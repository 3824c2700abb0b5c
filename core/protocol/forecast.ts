/** Forecasts. */
import * as z from 'zod'
import { Amount, Count, Name, Time } from './values.ts'
import { Kind } from './work.ts'

const Basis = z
  .enum(['early', 'learned'])
  .describe('Early: less than forty outcomes of its kind have been seen, and p10 to p90 is wide for that reason.')
export const Quantiles = z.object({ p10: z.number(), p50: z.number(), p90: z.number(), basis: Basis })
export type Quantiles = z.output<typeof Quantiles>
const Amounts = z.object({ p10: Amount, p50: Amount, p90: Amount, basis: Basis })

export const ForecastQuery = z.object({
  kind: Kind.optional(),
  model: Name.optional(),
})

/** What is ahead of one class of work. Null is not known. */
export const ClassForecast = z.object({
  kind: Kind,
  model: z.string(),
  providers: Count.describe('Those that offer it now.'),
  slots: Count.describe('Their slots, which they share among all that they offer.'),
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
      hour: Amounts.describe('The mean of the next hour.'),
    })
    .nullable()
    .describe('Index price of a unit, in tokens.'),
  suggestedAsk: Amount.nullable().describe(
    "What to ask for a unit: from p10 of the price's next hour, when none of the slots will be needed, to p90, when all will.",
  ),
  earnings: z
    .object({ latest: Amount, hour: Amounts })
    .nullable()
    .describe(
      'What an hour of a slot earns with tasks of this class, in tokens: the latest ten minutes, and the next hour.',
    ),
  shortage: z
    .object({ at: Time, slots: z.number().describe('Busy at a time, on average over that hour.') })
    .nullable()
    .describe('The first hour of the next day whose demand needs more slots than are there: load the model by then.'),
  waitMs: Quantiles.nullable().describe(
    'Milliseconds until a task submitted now by somebody with none waiting starts.',
  ),
  finishMs: Quantiles.nullable().describe('Milliseconds until it is finished.'),
})
export type ClassForecast = z.output<typeof ClassForecast>

/** A sudden fall that has not ended. */
export const IncidentView = z.object({
  kind: Kind,
  model: z.string(),
  of: z.enum(['supply', 'success']).describe('Slots that are there, or the share of tasks that succeed.'),
  since: Time,
  expected: z.number().describe('What was to be expected when it fell.'),
})
export type IncidentView = z.output<typeof IncidentView>

export const ForecastView = z
  .object({
    at: Time,
    from: Time.nullable().describe('Up to when demand and prices were counted; null before the first count.'),
    classes: z.array(ClassForecast).describe('Every class that was ever offered, by kind and model.'),
    incidents: z.array(IncidentView).describe('The latest first.'),
  })
  .meta({ id: 'Forecast' })
export type ForecastView = z.output<typeof ForecastView>

/** An hour that was forecast when it began, and what came: null until all of it is known. */
const PastHour = Quantiles.extend({ from: Time, came: z.number().nullable() })
export type PastHour = z.output<typeof PastHour>

export const ForecastRecord = z
  .object({
    at: Time,
    classes: z.array(
      z.object({
        kind: Kind,
        model: z.string(),
        demand: z.array(PastHour).describe('Tasks submitted in the hour.'),
        price: z.array(PastHour).describe('Mean index price, in tokens.'),
        earnings: z.array(PastHour).describe('Tokens that an hour of a slot earned.'),
      }),
    ),
    calibration: z
      .array(
        z.object({
          of: z.enum(['demand_10min', 'demand_hour', 'demand_day', 'price', 'earnings', 'wait', 'run', 'finish']),
          count: Count.describe('Outcomes of forecasts that were not early.'),
          p10: z.number().describe('The share of them below p10; a tenth when calibrated.'),
          p50: z.number(),
          p90: z.number(),
        }),
      )
      .describe('Of all of these classes together; what has no outcome yet is left out.'),
  })
  .meta({ id: 'ForecastRecord' })
export type ForecastRecord = z.output<typeof ForecastRecord>

/** When one task will start and finish. */
export const TaskForecast = z
  .object({
    at: Time,
    startMs: Quantiles.nullable().describe(
      'Milliseconds from `at` until it starts; null once it has, and where nobody is there.',
    ),
    finishMs: Quantiles.nullable().describe(
      'Milliseconds from `at` until it is finished; null when it is, or not known.',
    ),
  })
  .meta({ id: 'TaskForecast' })
export type TaskForecast = z.output<typeof TaskForecast>
