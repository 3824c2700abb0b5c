/**
 * What a class's forecasts say to those who provide it.
 *
 * | figure       | formula                                                                                           |
 * |--------------|---------------------------------------------------------------------------------------------------|
 * | needed slots | tasks of an hour x mean run time / an hour (Little, 1961)                                         |
 * | load         | slots needed in the next hour / slots that are there, within 0 and 1                              |
 * | suggestedAsk | the price of the next hour at p10 when the load is 0, p50 when a half, p90 when 1; straight between |
 * | shortage     | the first of the next 24 clock hours that needs more slots than are there                         |
 */
import { dayAhead } from './forecast/day-ahead.ts'
import { BIN_MS, HOUR_BINS } from './forecast/history.ts'
import { forecastOf } from './forecast/series.ts'
import { formatAmount, toAsk } from './money.ts'
import { HOUR, type Outlook } from './outlook.ts'

const HOUR_MS = HOUR_BINS * BIN_MS

const needed = (demand: number, runMs: number): number => (demand * HOUR_BINS * runMs) / HOUR_MS

/** Null while no price is known. While the price or the run time is hardly known, the load is taken for a half. */
export function suggestedAsk({ demand, price }: Outlook, slots: number, runMs: number | null): string | null {
  const said = forecastOf(price, HOUR)
  const ahead = forecastOf(demand, HOUR)
  if (!said || !ahead) return null
  // What is early is wide for that reason alone.
  const known = said.basis === 'learned' && runMs !== null
  const load = !known ? 0.5 : slots === 0 ? 1 : Math.min(1, needed(ahead.p50, runMs) / slots)
  const { p10, p50, p90 } = said
  const ask = load < 0.5 ? p10 + 2 * load * (p50 - p10) : p50 + (2 * load - 1) * (p90 - p50)
  return formatAmount(toAsk(BigInt(Math.round(ask))))
}

/** Null while less than a day is known, and when what is there suffices. */
export function shortageOf(
  { demand }: Outlook,
  slots: number,
  runMs: number | null,
): { at: number; slots: number } | null {
  const hours = demand.history && dayAhead(demand.history)
  if (!hours || runMs === null) return null
  const hour = hours.find(({ mean }) => needed(mean, runMs) > slots)
  return hour ? { at: hour.bin * BIN_MS, slots: Math.round(needed(hour.mean, runMs) * 10) / 10 } : null
}
