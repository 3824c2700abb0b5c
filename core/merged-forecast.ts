/**
 * What the cells of a market forecast, as what is ahead of the network. Demands are added quantile by quantile, as if the cells were
 * busy together, which makes their range rather too wide than too narrow; prices and earnings are weighted by the slots that are there,
 * and a task is taken to go where it waits least.
 */
import { classOf } from './matching.ts'
import { total } from './merged.ts'
import { formatAmount, parseAmount } from './money.ts'
import type {
  ClassForecast,
  ForecastRecord,
  ForecastView,
  IncidentView,
  PastHour,
  Quantiles,
} from './protocol/forecast.ts'
import type { Kind } from './protocol/work.ts'

/** @param cells at least one */
export function mergedForecast(cells: ForecastView[]): ForecastView {
  const [first, ...others] = cells
  if (others.length === 0) return first!
  const froms = cells.flatMap(({ from }) => from ?? [])
  return {
    at: Math.max(...cells.map(({ at }) => at)),
    from: froms.length === 0 ? null : Math.max(...froms),
    classes: byClass(cells)
      .map(mergedClass)
      .sort((x, y) => (classOf(x) < classOf(y) ? -1 : 1)),
    incidents: mergedIncidents(cells.flatMap(({ incidents }) => incidents)),
  }
}

/** What the cells say of each class. */
const byClass = <C extends { kind: Kind; model: string }>(cells: { classes: C[] }[]): C[][] => [
  ...Map.groupBy(
    cells.flatMap(({ classes }) => classes),
    classOf,
  ).values(),
]

/** A fall that several cells have seen is one, since the first of them. */
function mergedIncidents(incidents: IncidentView[]): IncidentView[] {
  const same = Map.groupBy(incidents, ({ of, ...one }) => `${of} ${classOf(one)}`)
  return [...same.values()]
    .map((seen) => seen.reduce((first, one) => (one.since < first.since ? one : first)))
    .sort((x, y) => y.since - x.since)
}

function mergedClass(same: ClassForecast[]): ClassForecast {
  const { kind, model } = same[0]!
  const slots = total(same.map((one) => one.slots))
  const demands = same.flatMap(({ demand }) => demand ?? [])
  const weighed = <T>(of: (one: ClassForecast) => T | null) =>
    same.flatMap((one) => {
      const value = of(one)
      return value === null ? [] : [{ value, slots: one.slots }]
    })
  const prices = weighed(({ price }) => price)
  const earnings = weighed(({ earnings }) => earnings)
  const asks = weighed(({ suggestedAsk }) => suggestedAsk)
  const shortages = same.flatMap((one) =>
    one.shortage && one.slots > 0
      ? [{ ...one.shortage, slots: (one.shortage.slots * slots) / one.slots }]
      : (one.shortage ?? []),
  )
  const soonest = same
    .filter(({ waitMs }) => waitMs !== null)
    .reduce<ClassForecast | null>((best, one) => (best && best.waitMs!.p50 <= one.waitMs!.p50 ? best : one), null)
  return {
    kind,
    model,
    providers: total(same.map(({ providers }) => providers)),
    slots,
    demand:
      demands.length === 0
        ? null
        : {
            latest: total(demands.map(({ latest }) => latest)),
            tenMinutes: added(demands.map(({ tenMinutes }) => tenMinutes)),
            hour: added(demands.map(({ hour }) => hour)),
            day: added(demands.map(({ day }) => day)),
          },
    price:
      prices.length === 0
        ? null
        : {
            unit: prices[0]!.value.unit,
            latest: weightedAmount(prices, ({ latest }) => latest),
            hour: weightedRange(prices, ({ hour }) => hour),
          },
    suggestedAsk: asks.length === 0 ? null : weightedAmount(asks, (ask) => ask),
    earnings:
      earnings.length === 0
        ? null
        : {
            latest: weightedAmount(earnings, ({ latest }) => latest),
            hour: weightedRange(earnings, ({ hour }) => hour),
          },
    shortage: shortages.sort((x, y) => x.at - y.at)[0] ?? null,
    waitMs: soonest?.waitMs ?? null,
    finishMs: soonest?.finishMs ?? null,
  }
}

/** @param cells at least one */
export function mergedRecord(cells: ForecastRecord[]): ForecastRecord {
  const [first, ...others] = cells
  if (others.length === 0) return first!
  const classes = byClass(cells).map((same) => ({
    kind: same[0]!.kind,
    model: same[0]!.model,
    demand: mergedHours(
      same.map(({ demand }) => demand),
      total,
    ),
    price: mergedHours(
      same.map(({ price }) => price),
      mean,
    ),
    earnings: mergedHours(
      same.map(({ earnings }) => earnings),
      mean,
    ),
  }))
  const byFigure = Map.groupBy(
    cells.flatMap(({ calibration }) => calibration),
    ({ of }) => of,
  )
  const calibration = [...byFigure].map(([of, same]) => {
    const count = total(same.map((one) => one.count))
    const share = (name: 'p10' | 'p50' | 'p90') => total(same.map((one) => one[name] * one.count)) / count
    return { of, count, p10: share('p10'), p50: share('p50'), p90: share('p90') }
  })
  return { at: Math.max(...cells.map(({ at }) => at)), classes, calibration }
}

/** Hour by hour. What came is known once all of them know it. */
function mergedHours(cells: PastHour[][], merge: (values: number[]) => number): PastHour[] {
  const byHour = Map.groupBy(cells.flat(), ({ from }) => from)
  return [...byHour]
    .sort(([x], [y]) => x - y)
    .map(([from, same]) => {
      const came = same.flatMap((hour) => hour.came ?? [])
      return { from, ...merged(same, merge), came: came.length < same.length ? null : merge(came) }
    })
}

const added = (all: Quantiles[]): Quantiles => merged(all, total)

function merged(all: Quantiles[], merge: (values: number[]) => number): Quantiles {
  const part = (name: 'p10' | 'p50' | 'p90') => merge(all.map((one) => one[name]))
  return { p10: part('p10'), p50: part('p50'), p90: part('p90'), basis: basisOf(all) }
}

const basisOf = (all: Pick<Quantiles, 'basis'>[]): Quantiles['basis'] =>
  all.every(({ basis }) => basis === 'learned') ? 'learned' : 'early'

type Weighed<T> = { value: T; slots: number }

/** By slots; alike while nobody has any. */
function weightedAmount<T>(all: Weighed<T>[], of: (value: T) => string): string {
  const least = all.every(({ slots }) => slots === 0) ? 1 : 0
  const weights = all.map(({ slots }) => BigInt(Math.max(slots, least)))
  const sum = all.reduce((amount, { value }, i) => amount + parseAmount(of(value)) * weights[i]!, 0n)
  return formatAmount(sum / weights.reduce((x, y) => x + y))
}

type Amounts = NonNullable<ClassForecast['earnings']>['hour']

function weightedRange<T>(all: Weighed<T>[], of: (value: T) => Amounts): Amounts {
  const part = (name: 'p10' | 'p50' | 'p90') => weightedAmount(all, (value) => of(value)[name])
  return { p10: part('p10'), p50: part('p50'), p90: part('p90'), basis: basisOf(all.map(({ value }) => of(value))) }
}

const mean = (values: number[]): number => total(values) / values.length
