/** How good a market's forecasts have been, as anybody may see it: what was said of the last hours beside what came, and calibration. */
import type { Book } from './book.ts'
import { BIN_MS, HOUR_BINS } from './forecast/history.ts'
import type { Panel } from './forecast/panel.ts'
import { panelOf } from './forecast/series.ts'
import { sumOf } from './forecast/tally.ts'
import { cameOf, hoursOf, type Track } from './forecast/track.ts'
import { parseClass } from './matching.ts'
import { ONE_TOKEN } from './money.ts'
import { DAY, HOUR, type Outlook, TEN_MINUTES } from './outlook.ts'
import type { ForecastRecord, PastHour } from './protocol/forecast.ts'
import type { Kind } from './protocol/work.ts'

const TOKEN = Number(ONE_TOKEN)

type Calibrated = ForecastRecord['calibration'][number]['of']

const PANELS: Record<Calibrated, (outlook: Outlook) => Panel> = {
  demand_10min: ({ demand }) => panelOf(demand, TEN_MINUTES),
  demand_hour: ({ demand }) => panelOf(demand, HOUR),
  demand_day: ({ demand }) => panelOf(demand, DAY),
  price: ({ price }) => panelOf(price, HOUR),
  earnings: ({ earnings }) => panelOf(earnings, HOUR),
  wait: ({ eta }) => eta.waits,
  run: ({ eta }) => eta.runs,
  finish: ({ eta }) => eta.finishes,
}

/** Changes nothing. */
export function forecastRecord(
  book: Book,
  only: { kind?: Kind | undefined; model?: string | undefined },
  now: number,
): ForecastRecord {
  const known = [...book.outlooks]
    .map(([name, outlook]) => ({ ...parseClass(name), outlook }))
    .filter(({ kind, model }) => kind === (only.kind ?? kind) && model === (only.model ?? model))
  const classes = known.map(({ kind, model, outlook: { tracks } }) => ({
    kind,
    model,
    demand: pastOf(tracks.demand, HOUR_BINS),
    price: pastOf(tracks.price, 1 / TOKEN),
    earnings: pastOf(tracks.earnings, 1 / TOKEN),
  }))
  const calibration = (Object.keys(PANELS) as Calibrated[]).flatMap((of) => {
    const { count, p10, p50, p90 } = sumOf(known.flatMap(({ outlook }) => PANELS[of](outlook).tally ?? []))
    return count === 0 ? [] : [{ of, count, p10: p10 / count, p50: p50 / count, p90: p90 / count }]
  })
  return { at: now, classes, calibration }
}

const pastOf = (track: Track, by: number): PastHour[] =>
  hoursOf(track).map((hour) => {
    const { p10, p50, p90, basis } = hour.said
    const came = cameOf(hour)
    return { from: hour.bin * BIN_MS, p10: p10 * by, p50: p50 * by, p90: p90 * by, basis, came: came && came * by }
  })
