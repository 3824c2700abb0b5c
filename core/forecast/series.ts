/**
 * Forecasts of one series, learned as it comes: p10, p50 and p90 of the mean over windows of bins ahead. The state is plain data
 * of a few kilobytes. Values are never negative; what is not a number, or is, counts as not known.
 */
import type { Forecast } from './bands.ts'
import { expertsOf, FEATURES, PLAIN, PRIORS, type View, viewOf, type Window } from './experts.ts'
import { BIN_MS, createHistory, type History, HOUR_BINS, MAX_AHEAD, push, WEEK_BINS } from './history.ts'
import { createLinear, type Linear, learnLinear, predictLinear } from './linear.ts'
import { sizeOf } from './mixture.ts'
import { ask, createPanel, type Panel, tell } from './panel.ts'

/** `seasons`: whether it looks at the same time a day and a week ago; what does not is kept in little. */
export type Series = { history: History | null; seasons: boolean; outlooks: Outlook[] }

/** What has been learned of one window. */
type Outlook = {
  window: Window
  /** None where there are no seasons, nor where outcomes are too few to learn so much from. */
  linear: Linear | null
  panel: Panel
  /** Forecasts whose outcome has not come, oldest first; see `opened`. */
  open: Float32Array[]
}

/** A forecast made, and what has come of it so far. */
type Open = View & { bin: number; linear: number; said: Forecast; sum: number; count: number }

/** The same in few bytes: these numbers, then the features. */
const OPEN_NUMBERS = 12

/** What is learned counts half after a week, an error after 36 outcomes: six hours where each bin brings one. */
const MEMORY_HALF_LIFE = WEEK_BINS
const ERROR_KEEP = 2 ** (-1 / 36)
/** Windows that are longer have six outcomes a day, or fewer. */
const LONGEST_LINEAR = HOUR_BINS
/** Forecasts of a window that are remembered at a time, at most. */
const OPEN = 6
/** After so long without a value nothing that was learned can be trusted. */
const FORGET_BINS = WEEK_BINS

export function createSeries(windows: readonly Window[], seasons = true): Series {
  for (const { from, to } of windows) {
    if (!(Number.isInteger(from) && Number.isInteger(to) && 1 <= from && from <= to && to <= MAX_AHEAD)) {
      throw new RangeError(`a window is 1 <= from <= to <= ${MAX_AHEAD} bins ahead, not ${from}..${to}`)
    }
  }
  const outlooks = windows.map((window) => ({
    window,
    linear: seasons && window.to <= LONGEST_LINEAR ? createLinear(FEATURES) : null,
    panel: createPanel(seasons ? PRIORS : PLAIN),
    open: [],
  }))
  return { history: null, seasons, outlooks }
}

/**
 * Learns the value of one bin; bins passed over are not known.
 * @param at any time within the bin, Unix milliseconds
 * @throws RangeError when the bin is not later than the latest, for time does not run backwards, or `at` is no time
 */
export function observe(series: Series, at: number, value: number): void {
  const bin = Math.floor(at / BIN_MS)
  if (!Number.isSafeInteger(bin)) throw new RangeError(`not a time: ${at}`)
  const known = Number.isFinite(value) && value >= 0 ? value : null
  const { history } = series
  if (history === null || bin - history.bin > FORGET_BINS) {
    if (known !== null) begin(series, bin, known)
    return
  }
  if (bin <= history.bin) throw new RangeError(`bin ${bin} came after bin ${history.bin}`)
  while (history.bin < bin - 1) step(series, history, null)
  step(series, history, known)
}

function begin(series: Series, bin: number, value: number): void {
  const { outlooks } = createSeries(
    series.outlooks.map(({ window }) => window),
    series.seasons,
  )
  series.history = createHistory(bin, value)
  series.outlooks = outlooks
}

function step(series: Series, history: History, value: number | null): void {
  push(history, value, series.seasons)
  for (const outlook of series.outlooks) {
    for (const open of outlook.open) settle(outlook, open, history.bin, value)
    if (outlook.open[0] && binOf(outlook.open[0]) + outlook.window.to <= history.bin) outlook.open.shift()
    if (history.bin % strideOf(outlook) === 0) {
      outlook.open.push(packed({ ...look(series, outlook, history), sum: 0, count: 0 }, outlook))
    }
  }
}

/** Long windows are learned from now and then, so that few forecasts are open at a time. */
const strideOf = ({ window }: Outlook): number => Math.ceil(window.to / OPEN)

function settle(outlook: Outlook, packed: Float32Array, bin: number, value: number | null): void {
  const { from, to } = outlook.window
  const ahead = bin - binOf(packed)
  if (value !== null && ahead >= from) {
    packed[SUM]! += value
    packed[COUNT]!++
  }
  if (ahead === to && packed[COUNT] === to - from + 1) learn(outlook, unpacked(packed))
}

const [BIN, SUM, COUNT] = [0, 1, 2]
const binOf = (packed: Float32Array): number => packed[BIN]!

/** Only a linear expert looks at all features, and only experts by seasons beyond the first four. */
function packed({ features, said, ...open }: Open, { linear, panel }: Outlook): Float32Array {
  const { bin, sum, count, condition, last, level, scale } = open
  const early = said.basis === 'early' ? 1 : 0
  const numbers = [bin, sum, count, condition, last, level, scale, open.linear, said.p10, said.p50, said.p90, early]
  const looked = linear ? FEATURES : sizeOf(panel.mixtures[0]!) === PLAIN[0]!.length ? 4 : 8
  return Float32Array.of(...numbers, ...features.subarray(0, looked))
}

function unpacked(packed: Float32Array): Open {
  const number = (place: number): number => packed[place]!
  return {
    bin: number(BIN),
    sum: number(SUM),
    count: number(COUNT),
    condition: number(3),
    last: number(4),
    level: number(5),
    scale: number(6),
    linear: number(7),
    said: { p10: number(8), p50: number(9), p90: number(10), basis: number(11) === 1 ? 'early' : 'learned' },
    features: packed.subarray(OPEN_NUMBERS),
  }
}

function learn(outlook: Outlook, open: Open): void {
  const { condition, level, scale, features } = open
  const actual = open.sum / open.count
  const stride = strideOf(outlook)
  const keep = { blend: 2 ** (-stride / MEMORY_HALF_LIFE), error: ERROR_KEEP }
  tell(outlook.panel, questionOf(open, open.linear), open.said, actual, keep)
  if (condition !== 0 || !outlook.linear) return
  learnLinear(outlook.linear, features, (open.linear - level) / scale, (actual - level) / scale, keep.blend)
}

function look(
  { seasons }: Series,
  { window, linear: model, panel }: Outlook,
  history: History,
): Omit<Open, 'sum' | 'count'> {
  const view = { ...viewOf(history, window), ...(!seasons && { condition: 0 }) }
  const linear = model ? Math.max(0, view.level + view.scale * predictLinear(model, view.features)) : view.level
  return { ...view, bin: history.bin, linear, said: ask(panel, questionOf(view, linear)) }
}

const questionOf = (view: View, linear: number) => ({
  condition: view.condition,
  experts: expertsOf(view, linear),
  scale: view.scale,
})

/** The forecast of the window's mean from the latest bin on; null when nothing has ever been seen. */
export function forecastOf(series: Series, window: Window): Forecast | null {
  if (!series.history) return null
  const { p10, p50, p90, basis } = look(series, outlookOf(series, window), series.history).said
  return { p10: shown(p10), p50: shown(p50), p90: shown(p90), basis }
}

/** Numbers of 32 bits have no more digits. */
const shown = (value: number): number => Number(value.toPrecision(6))

function outlookOf({ outlooks }: Series, { from, to }: Window): Outlook {
  const outlook = outlooks.find(({ window }) => window.from === from && window.to === to)
  if (!outlook) throw new RangeError(`the series is not forecast for ${from}..${to} bins ahead`)
  return outlook
}

/** What has been learned of a window's experts and bands. */
export const panelOf = (series: Series, window: Window): Panel => outlookOf(series, window).panel
