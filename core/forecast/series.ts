/**
 * Forecasts of one series, learned as it comes: p10, p50 and p90 of the mean over windows of bins ahead. The state is plain data
 * that JSON can hold. Values are never negative; what is not a number, or is, counts as not known.
 */
import type { Forecast } from './bands.ts'
import { expertsOf, FEATURES, PRIORS, type View, viewOf, type Window } from './experts.ts'
import { BIN_MS, createHistory, type History, MAX_AHEAD, push, WEEK_BINS } from './history.ts'
import { createLinear, type Linear, learnLinear, predictLinear } from './linear.ts'
import { ask, createPanel, type Panel, tell } from './panel.ts'

export type Series = { history: History | null; outlooks: Outlook[] }

/** What has been learned of one window. */
type Outlook = {
  window: Window
  linear: Linear
  panel: Panel
  /** Forecasts whose outcome has not come, oldest first. */
  open: Open[]
}

/** A forecast made, and what has come of it so far. */
type Open = View & { bin: number; linear: number; said: Forecast; sum: number; count: number }

/** What is learned counts half after a week, an error after 36 outcomes: six hours where each bin brings one. */
const MEMORY_HALF_LIFE = WEEK_BINS
const ERROR_KEEP = 2 ** (-1 / 36)
/** Forecasts of a window that are remembered at a time, at most. */
const OPEN = 6
/** After so long without a value nothing that was learned can be trusted. */
const FORGET_BINS = WEEK_BINS

export function createSeries(windows: readonly Window[]): Series {
  for (const { from, to } of windows) {
    if (!(Number.isInteger(from) && Number.isInteger(to) && 1 <= from && from <= to && to <= MAX_AHEAD)) {
      throw new RangeError(`a window is 1 <= from <= to <= ${MAX_AHEAD} bins ahead, not ${from}..${to}`)
    }
  }
  const outlooks = windows.map((window) => ({
    window,
    linear: createLinear(FEATURES),
    panel: createPanel(PRIORS),
    open: [],
  }))
  return { history: null, outlooks }
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
  const { outlooks } = createSeries(series.outlooks.map(({ window }) => window))
  series.history = createHistory(bin, value)
  series.outlooks = outlooks
}

function step(series: Series, history: History, value: number | null): void {
  push(history, value)
  for (const outlook of series.outlooks) {
    for (const open of outlook.open) settle(outlook, open, history.bin, value)
    if (outlook.open[0] && outlook.open[0].bin + outlook.window.to <= history.bin) outlook.open.shift()
    if (history.bin % strideOf(outlook) === 0) outlook.open.push({ ...look(outlook, history), sum: 0, count: 0 })
  }
}

/** Long windows are learned from now and then, so that few forecasts are open at a time. */
const strideOf = ({ window }: Outlook): number => Math.ceil(window.to / OPEN)

function settle(outlook: Outlook, open: Open, bin: number, value: number | null): void {
  const { from, to } = outlook.window
  const ahead = bin - open.bin
  if (value !== null && ahead >= from) {
    open.sum += value
    open.count++
  }
  if (ahead === to && open.count === to - from + 1) learn(outlook, open, open.sum / open.count)
}

function learn(outlook: Outlook, open: Open, actual: number): void {
  const { condition, level, scale, features } = open
  const stride = strideOf(outlook)
  const keep = { blend: 2 ** (-stride / MEMORY_HALF_LIFE), error: ERROR_KEEP }
  tell(outlook.panel, questionOf(open, open.linear), open.said, actual, keep)
  if (condition !== 0) return
  learnLinear(outlook.linear, features, (open.linear - level) / scale, (actual - level) / scale, keep.blend)
}

function look({ window, linear: model, panel }: Outlook, history: History): Omit<Open, 'sum' | 'count'> {
  const view = viewOf(history, window)
  const linear = Math.max(0, view.level + view.scale * predictLinear(model, view.features))
  return { ...view, bin: history.bin, linear, said: ask(panel, questionOf(view, linear)) }
}

const questionOf = (view: View, linear: number) => ({
  condition: view.condition,
  experts: expertsOf(view, linear),
  scale: view.scale,
})

/** As JSON, about four kilobytes a window: six digits of what adds up small steps, four of what is only looked at. */
export const write = (series: Series): string =>
  JSON.stringify(series, (key, value) => rounded(6, LOOKED_AT.has(key) ? JSON.parse(inDigits(4, value)) : value))

const LOOKED_AT = new Set(['bins', 'hours', 'open'])
const inDigits = (digits: number, value: unknown) => JSON.stringify(value, (_, part) => rounded(digits, part))
const rounded = (digits: number, value: unknown) =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(digits)) : value

/** What `write` wrote. */
export const read = (text: string): Series => JSON.parse(text)

/** The forecast of the window's mean from the latest bin on; null when nothing has ever been seen. */
export function forecastOf(series: Series, window: Window): Forecast | null {
  return series.history && look(outlookOf(series, window), series.history).said
}

function outlookOf({ outlooks }: Series, { from, to }: Window): Outlook {
  const outlook = outlooks.find(({ window }) => window.from === from && window.to === to)
  if (!outlook) throw new RangeError(`the series is not forecast for ${from}..${to} bins ahead`)
  return outlook
}

/** What has been learned of a window's experts and bands. */
export const panelOf = (series: Series, window: Window): Panel => outlookOf(series, window).panel
