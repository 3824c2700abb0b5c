/** The forecasts of a market's classes as anybody may see them. */
import { shortageOf, suggestedAsk } from './advice.ts'
import type { Book } from './book.ts'
import { nextTag } from './fairness.ts'
import type { Forecast } from './forecast/bands.ts'
import { estimate } from './forecast/eta.ts'
import type { Window } from './forecast/experts.ts'
import { BIN_MS } from './forecast/history.ts'
import { forecastOf, type Series } from './forecast/series.ts'
import { isActive } from './health.ts'
import { aheadOf, classOf, parseClass, type Turn } from './matching.ts'
import { meanRunMs } from './measured.ts'
import { formatAmount } from './money.ts'
import { DAY, HOUR, type Outlook, type Supplies, sightOf, TEN_MINUTES } from './outlook.ts'
import { UNITS } from './pricing.ts'
import type { ClassForecast, ForecastView, IncidentView } from './protocol/forecast.ts'
import type { Kind } from './protocol/work.ts'

type Class = { kind: Kind; model: string }
/** Providers that are there, their slots, and whether one of these is free. */
type Supplied = { providers: number; slots: number; idle: boolean }
const NOBODY: Supplied = { providers: 0, slots: 0, idle: false }

/** Changes nothing. */
export function forecastView(
  book: Book,
  only: { kind?: Kind | undefined; model?: string | undefined },
  now: number,
): ForecastView {
  const supplied = suppliedOf(book, now)
  const classes = [...book.classes]
    .map(parseClass)
    .filter(({ kind, model }) => kind === (only.kind ?? kind) && model === (only.model ?? model))
    .map((of) => classForecast(book, of, supplied.get(classOf(of)) ?? NOBODY, now))
    .sort((x, y) => (classOf(x) < classOf(y) ? -1 : 1))
  const { binFrom } = book
  const from = binFrom === null ? null : Math.floor(binFrom / BIN_MS) * BIN_MS
  return { at: now, from, classes, incidents: incidentsOf(book, classes) }
}

function incidentsOf(book: Book, classes: readonly Class[]): IncidentView[] {
  const open = classes.flatMap(({ kind, model }) => {
    const outlook = book.outlooks.get(classOf({ kind, model }))
    return (['supply', 'success'] as const).flatMap((of) => {
      const incident = outlook?.[of].incident
      return incident ? [{ kind, model, of, since: incident.since, expected: rounded(incident.expected, 1000) }] : []
    })
  })
  return open.sort((x, y) => y.since - x.since)
}

export const suppliesOf = (book: Book, now: number): Supplies =>
  new Map([...suppliedOf(book, now)].map(([name, { slots }]) => [name, slots]))

function suppliedOf(book: Book, now: number): Map<string, Supplied> {
  const supplied = new Map<string, Supplied>()
  for (const provider of book.providers.values()) {
    if (!isActive(provider, now)) continue
    const { supply, registration } = provider
    const { offers, room } = supply
    for (const name of new Set(offers.map(classOf))) {
      const { providers, slots, idle } = supplied.get(name) ?? NOBODY
      supplied.set(name, {
        providers: providers + 1,
        slots: slots + registration.slots,
        idle: idle || room > 0,
      })
    }
  }
  return supplied
}

function classForecast(book: Book, of: Class, { providers, slots, idle }: Supplied, now: number): ClassForecast {
  const outlook = book.outlooks.get(classOf(of))
  const runMs = meanRunMs(book.measured.get(classOf(of)))
  const eta = outlook && providers > 0 ? etaOf(book, of, outlook, idle, now) : { waitMs: null, finishMs: null }
  return {
    ...of,
    providers,
    slots,
    demand: outlook ? demandOf(outlook.demand) : null,
    price: outlook ? priceOf(outlook.price, of.kind) : null,
    suggestedAsk: outlook ? suggestedAsk(outlook, slots, runMs) : null,
    earnings: outlook ? earningsOf(outlook.earnings) : null,
    shortage: outlook ? shortageOf(outlook, slots, runMs) : null,
    ...eta,
  }
}

function demandOf(series: Series): ClassForecast['demand'] {
  const { history } = series
  if (!history) return null
  const ahead = (window: Window) => scaled(forecastOf(series, window)!, window.to - window.from + 1, 100)
  return {
    latest: rounded(history.last, 100),
    tenMinutes: ahead(TEN_MINUTES),
    hour: ahead(HOUR),
    day: ahead(DAY),
  }
}

function priceOf(series: Series, kind: Kind): ClassForecast['price'] {
  const { history } = series
  if (!history) return null
  return { unit: UNITS[kind].unit, latest: amount(history.last), hour: inTokens(forecastOf(series, HOUR)!) }
}

function earningsOf(series: Series): ClassForecast['earnings'] {
  const { history } = series
  return history && { latest: amount(history.last), hour: inTokens(forecastOf(series, HOUR)!) }
}

const amount = (units: number): string => formatAmount(BigInt(Math.round(units)))

const inTokens = ({ p10, p50, p90, basis }: Forecast) => ({
  p10: amount(p10),
  p50: amount(p50),
  p90: amount(p90),
  basis,
})

/** When a task like the class's others would start and finish; not known before any has. */
function etaOf(
  book: Book,
  of: Class,
  outlook: Outlook,
  idle: boolean,
  now: number,
): Pick<ClassForecast, 'waitMs' | 'finishMs'> {
  const { eta } = outlook
  const measured = book.measured.get(classOf(of))
  const size = measured ? measured.maxUnits / measured.tasks : 1
  const ahead = aheadOf(book.matching, newcomersTurn(book, of))
  const { wait, finish } = estimate(eta, sightOf(outlook, ahead, idle, size, now))
  return { waitMs: eta.wait && scaled(wait, 1, 1), finishMs: eta.run && scaled(finish, 1, 1) }
}

/** The place in the queue of a task of somebody who has none waiting. */
const newcomersTurn = ({ fairness }: Book, of: Class): Turn => ({
  ...of,
  region: null,
  tag: nextTag(fairness, '0x'),
  deadline: Number.POSITIVE_INFINITY,
  seq: Number.POSITIVE_INFINITY,
})

export const scaled = ({ p10, p50, p90, basis }: Forecast, by: number, parts: number): Forecast => ({
  p10: rounded(p10 * by, parts),
  p50: rounded(p50 * by, parts),
  p90: rounded(p90 * by, parts),
  basis,
})

export const rounded = (value: number, parts: number): number => Math.round(value * parts) / parts
