/**
 * Forecast: rolling origin over request rates in bins of ten minutes, each forecast made from what came before it alone and held
 * against what came; the second half of each series counts. One hour ahead is the bin six steps ahead. Waits are forecast in a
 * replay of a real trace through the market's book.
 */
import { serialize } from 'node:v8'
import type { Forecast } from '../../core/forecast/bands.ts'
import type { Window } from '../../core/forecast/experts.ts'
import { BIN_MS, DAY_BINS, WEEK_BINS } from '../../core/forecast/history.ts'
import { coverage, pinball, wape } from '../../core/forecast/score.ts'
import { createSeries, forecastOf, observe } from '../../core/forecast/series.ts'
import { type Bench, type Figures, judge, type Limit } from './bench.ts'
import { replay } from './replay.ts'
import { RATES, readArrivals, readRates } from './traces.ts'

/** The first is the one with bars and with the plain names. */
const HORIZONS: [name: string, window: Window][] = [
  ['', { from: 6, to: 6 }],
  ['next_10min.', { from: 1, to: 1 }],
  ['next_hour.', { from: 1, to: 6 }],
  ['next_day.', { from: 1, to: DAY_BINS }],
]
/** Of these the baseline takes the one that was best in hindsight. */
const SMOOTHING = [0.1, 0.3, 0.5, 0.7, 0.9]
const LOADS = [0.8, 0.9, 1]
const CLASSES = 100

const between = (figure: string, low: number, high: number): Limit[] => [
  { figure, op: '>=', limit: low },
  { figure, op: '<=', limit: high },
]

export const bench: Bench = {
  name: 'forecast',
  async run({ quick, data, log }) {
    const rates = readRates(data ?? RATES)
    const figures: Figures = {}
    const limits: Limit[] = []
    for (const [model, values] of rates) {
      for (const [name, window] of quick ? HORIZONS.slice(0, 1) : HORIZONS) {
        for (const [figure, value] of Object.entries(backtest(values, window)))
          figures[`${model}.${name}${figure}`] = value
      }
      limits.push({ figure: `${model}.gain`, op: '>=', limit: 0.12 })
      limits.push(...between(`${model}.cover90`, 0.88, 0.92), ...between(`${model}.cover80`, 0.77, 0.83))
      log(`${model}: WAPE ${figures[`${model}.wape`]}, best baseline ${figures[`${model}.wape_best_baseline`]}`)
    }
    Object.assign(figures, price([...rates.values()][0]!))
    limits.push({ figure: 'update_cpu_us', op: '<=', limit: 1_000 }, { figure: 'refit_100_cpu_s', op: '<=', limit: 10 })
    const arrivals = data ? [] : readArrivals()
    for (const load of arrivals.length === 0 ? [] : quick ? [0.9] : LOADS) {
      const name = `wait_load${Math.round(load * 100)}`
      const replayed = replay(arrivals, load)
      // A task that somebody takes at once has no wait to be forecast: its zero is within any band.
      const queued = replayed.filter(({ estimate }) => !estimate.sight.idle)
      const waits = coverage(
        queued.map(({ estimate }) => estimate.wait),
        queued.map(({ waitMs }) => waitMs),
      )
      const finishes = coverage(
        replayed.map(({ estimate }) => estimate.finish),
        replayed.map(({ finishMs }) => finishMs),
      )
      figures[`${name}.queued`] = queued.length
      figures[`${name}.cover90`] = round(waits.p90)
      figures[`${name}.cover80`] = round(waits.p10p90)
      figures[`${name}.finish_cover90`] = round(finishes.p90)
      limits.push(...between(`${name}.cover90`, 0.88, 0.92))
      log(`waits at ${load} of capacity: p90 covers ${figures[`${name}.cover90`]} of ${queued.length}`)
    }
    return { figures, bars: judge(figures, limits) }
  },
}

/** Scores of one series and window, beside those of the baselines. */
function backtest(values: readonly number[], window: Window): Figures {
  const series = createSeries([window])
  const forecasts: Forecast[] = []
  const actuals: number[] = []
  const baselines: Record<string, number[]> = { last: [], ewma: [], day: [], week: [] }
  const known = filled(values)
  const smooth = SMOOTHING.map((rate) => ewma(known, rate))
  const smoothed: number[][] = SMOOTHING.map(() => [])
  for (const [i, value] of values.entries()) {
    observe(series, i * BIN_MS, value)
    const said = forecastOf(series, window)
    const actual = mean(values, i + window.from, i + window.to)
    if (said === null || i + window.from < values.length / 2 || !Number.isFinite(actual)) continue
    forecasts.push(said)
    actuals.push(actual)
    baselines.last!.push(known[i]!)
    baselines.day!.push(mean(known, i + window.from - DAY_BINS, i + window.to - DAY_BINS))
    baselines.week!.push(mean(known, i + window.from - WEEK_BINS, i + window.to - WEEK_BINS))
    for (const [k, levels] of smooth.entries()) smoothed[k]!.push(levels[i]!)
  }
  baselines.ewma = smoothed.reduce((x, y) => (wape(x, actuals) <= wape(y, actuals) ? x : y))
  const medians = forecasts.map(({ p50 }) => p50)
  const scores = Object.entries(baselines).map(([name, said]) => [`wape_${name}`, round(wape(said, actuals))] as const)
  const best = Math.min(...scores.map(([, score]) => score).filter(Number.isFinite))
  const score = wape(medians, actuals)
  const { p90, p10p90 } = coverage(forecasts, actuals)
  const losses = (
    [
      ['p10', 0.1],
      ['p50', 0.5],
      ['p90', 0.9],
    ] as const
  ).map(([quantile, level]) =>
    pinball(
      level,
      forecasts.map((forecast) => forecast[quantile]),
      actuals,
    ),
  )
  return {
    wape: round(score),
    wape_best_baseline: best,
    gain: round(1 - score / best),
    cover90: round(p90),
    cover80: round(p10p90),
    pinball: round(losses.reduce((sum, loss) => sum + loss, 0) / losses.length),
    ...Object.fromEntries(scores),
  }
}

/** What the forecasts of a class cost: processor time for a bin, for a hundred classes of this length, and bytes at rest. */
function price(values: readonly number[]): Figures {
  const windows = HORIZONS.slice(1).map(([, window]) => window)
  let bytes = 0
  const before = process.cpuUsage()
  for (let i = 0; i < CLASSES; i++) {
    const series = createSeries(windows)
    for (const [bin, value] of values.entries()) observe(series, bin * BIN_MS, value)
    bytes = serialize(series).length
  }
  const { user, system } = process.cpuUsage(before)
  const micros = user + system
  return {
    update_cpu_us: round(micros / (CLASSES * values.length)),
    refit_100_cpu_s: round(micros / 1e6),
    state_bytes: bytes,
  }
}

/** Mean of `values[from..to]`, both included; NaN when any is missing. */
function mean(values: readonly number[], from: number, to: number): number {
  if (from < 0 || to >= values.length) return Number.NaN
  return values.slice(from, to + 1).reduce((sum, value) => sum + value, 0) / (to - from + 1)
}

/** With the last known value in the place of what is not known. */
function filled(values: readonly number[]): number[] {
  let last = values.find(Number.isFinite) ?? 0
  return values.map((value) => {
    if (Number.isFinite(value)) last = value
    return last
  })
}

function ewma(values: readonly number[], rate: number): number[] {
  let level = values[0]!
  return values.map((value) => {
    level += rate * (value - level)
    return level
  })
}

const round = (value: number): number => Number(value.toFixed(4))
