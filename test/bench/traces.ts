/** The traces that forecasts are held against, and that the simulator's load is drawn from; test/bench/data/README.md says where they are from. */
import { existsSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { Fault } from '../../scripts/checks.ts'
import type { Traces } from '../../simulator/load.ts'
import type { Arrival } from './replay.ts'

const DATA = new URL('data/', import.meta.url)
export const RATES = new URL('servegen-rate-10min.csv.gz', DATA)
const ARRIVALS = new URL('azure-llm-2023.csv.gz', DATA)
const BIN_S = 600

/**
 * Request rates by model: columns model, t_s, req_per_s in bins of ten minutes.
 * @returns each model's rates without gaps from its first bin; a bin that is not there, or says no number, is NaN
 */
export function readRates(file: string | URL): Map<string, number[]> {
  const series = new Map<string, number[]>()
  const starts = new Map<string, number>()
  for (const [line, [model, time, rate]] of rowsOf(file, ['model', 't_s', 'req_per_s'])) {
    const seconds = Number(time)
    if (time === '' || !Number.isFinite(seconds)) throw faultOf(file, line, `t_s is "${time}", not a number of seconds`)
    const start = starts.get(model!) ?? seconds
    starts.set(model!, start)
    const values = series.get(model!) ?? []
    series.set(model!, values)
    const bin = Math.floor((seconds - start) / BIN_S)
    if (bin < values.length) throw faultOf(file, line, `the bin at ${seconds} s does not come after the one before it`)
    while (values.length < bin) values.push(Number.NaN)
    values.push(rate === '' ? Number.NaN : Number(rate))
  }
  if (series.size === 0) throw new Fault(`${file} has no rows.`, 'Give it one line for each bin of ten minutes.')
  return series
}

export function readArrivals(): Arrival[] {
  return rowsOf(ARRIVALS, ['t_ms', 'service', 'in_tokens', 'out_tokens']).map(
    ([, [at, model, inTokens, outTokens]]) => ({
      at: Number(at),
      model: model!,
      inTokens: Number(inTokens),
      outTokens: Number(outTokens),
    }),
  )
}

/** What the network simulator asks for is drawn from these. */
export function readTraces(): Traces {
  const requests = readArrivals().map(({ at, model, inTokens, outTokens }) => ({
    at,
    service: model,
    in: inTokens,
    out: outTokens,
  }))
  const rates = [...readRates(RATES).values()][0]!
  return { requests, rates: rates.filter((rate) => rate > 0) }
}

/** The rows of a CSV file, gzipped or not, each with its line number. */
function rowsOf(file: string | URL, columns: string[]): [line: number, cells: string[]][] {
  if (!existsSync(file)) throw new Fault(`There is no file ${file}.`, 'Give --data the path of a CSV file.')
  const bytes = readFileSync(file)
  const text = (bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes).toString()
  const [head, ...lines] = text.split(/\r?\n/)
  if (head !== columns.join(',')) throw faultOf(file, 1, `the columns are not ${columns.join(',')}`)
  return lines.flatMap((line, i) => (line === '' ? [] : [[i + 2, line.split(',')] as [number, string[]]]))
}

const faultOf = (file: string | URL, line: number, what: string): Fault =>
  new Fault(`${file}, line ${line}: ${what}.`, 'The columns are model,t_s,req_per_s, with times that grow by 600.')
