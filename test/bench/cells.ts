/**
 * What it costs to divide a market: the same agents and requesters on a network of one cell and on one of four, in turns in one run. On one
 * machine both have the same processors, so four cells show no gain here, only what routing among them and smaller groups of calls cost.
 */
import { join } from 'node:path'
import { spawnEdge } from '../../scripts/edge-process.ts'
import { openRequester } from '../../scripts/requester.ts'
import { registerProviders, startAgents } from './agents.ts'
import { type Bench, type Figures, judge, type Limit } from './bench.ts'
import { request } from './http.ts'
import { drive, type Load, median, quantile } from './load.ts'
import { driveOpen } from './open-load.ts'
import { openSubmitters, requestOf } from './submitters.ts'
import { inWorld } from './world.ts'

const LIMITS: Limit[] = [
  { figure: 'cells.p99_ratio_4', op: '<=', limit: 1.2 },
  { figure: 'cells.p99_ratio_4_busy', op: '<=', limit: 1.2 },
]

/** As many models as there are cells, so that each cell has the providers of one. */
const MODELS = ['bench/one', 'bench/two', 'bench/three', 'bench/four']
const AGENTS_A_MODEL = 4
const SLOTS = 4
const SUBMITTERS = 32
/** Tasks a second of those who do not wait for each other: what one object bears on the platform (200 to 500 writing requests). */
const PER_SECOND = 300

type Cells = { url: string; apiKey: string; tokens: string[] }
/** `open`: milliseconds of each task of those who do not wait for each other. */
type Sample = { open: number[]; busy: Load }

export const bench: Bench = {
  name: 'cells',
  run({ quick, log }) {
    return inWorld(async ({ edge, state, own }) => {
      const four = own(await spawnEdge({ state: join(state, 'four'), build: false, chain: { CELLS: '4' } }))
      const networks = { 1: await populated(edge.url, state), 4: await populated(four.url, join(state, 'four')) }
      const samples: Record<1 | 4, Sample[]> = { 1: [], 4: [] }
      const rounds = quick ? 1 : 5
      for (let round = 1; round <= rounds; round++) {
        for (const cells of round % 2 === 1 ? ([1, 4] as const) : ([4, 1] as const)) {
          const sample = await measure(networks[cells], quick ? 2 : 10)
          samples[cells].push(sample)
          const { open, busy } = sample
          const shown = `p99 ${of([open], 0.99).toFixed(1)} ms at ${PER_SECOND}/s, ${busy.p99.toFixed(1)} at ${SUBMITTERS}, ${Math.round(busy.perSecond)} tasks/s`
          log(`round ${round}/${rounds}  ${cells} ${cells === 1 ? 'cell ' : 'cells'}  ${shown}`)
        }
      }
      const figures = summarise(samples)
      return { figures, bars: judge(figures, LIMITS) }
    })
  },
}

async function populated(url: string, state: string): Promise<Cells> {
  const { apiKey } = await openRequester(url, join(state, 'requester'))
  const tokens: string[] = []
  for (const model of MODELS) tokens.push(...(await registerProviders(url, AGENTS_A_MODEL, SLOTS, model)))
  return { url, apiKey, tokens }
}

async function measure({ url, apiKey, tokens }: Cells, seconds: number): Promise<Sample> {
  const agents = await startAgents(url, tokens, SLOTS)
  const target = new URL(requestOf(1).path, url)
  const headers = { authorization: `Bearer ${apiKey}` }
  const calls = MODELS.map((model) => request('POST', target, headers, requestOf(1, model).body))
  const times = { warmSeconds: 1, seconds }
  const nameOf = (answer: { status: number; body: Buffer }) => {
    if (answer.status === 201) return 'done'
    throw new Error(`submit answered ${answer.status}: ${answer.body.toString().slice(0, 500)}`)
  }
  const open = await Promise.race([driveOpen(target, calls, PER_SECOND, times, nameOf), agents.failed])
  const each = SUBMITTERS / MODELS.length
  const submitters = await Promise.all(MODELS.map((model) => openSubmitters(url, apiKey, each, 1, model)))
  const clients = submitters.flatMap((those) => those.clients)
  const busy = await Promise.race([drive(clients, times), agents.failed])
  for (const those of submitters) those.close()
  await agents.stop()
  return { open: open.all('done'), busy }
}

/** A quantile of all that was measured, so that one pause more or less in a round says little. */
const of = (rounds: number[][], q: number): number =>
  quantile(
    rounds.flat().sort((x, y) => x - y),
    q,
  )

function summarise(samples: Record<1 | 4, Sample[]>): Figures {
  const open = (cells: 1 | 4, q: number) =>
    of(
      samples[cells].map((sample) => sample.open),
      q,
    )
  const busy = (cells: 1 | 4, value: (load: Load) => number) =>
    median(samples[cells].map((sample) => value(sample.busy)))
  return {
    'cells.p99_ratio_4': round(open(4, 0.99) / open(1, 0.99)),
    'cells.p99_ratio_4_busy': round(busy(4, ({ p99 }) => p99) / busy(1, ({ p99 }) => p99)),
    'cells.throughput_ratio_4': round(busy(4, ({ perSecond }) => perSecond) / busy(1, ({ perSecond }) => perSecond)),
    'cells.p50_ms_1': round(open(1, 0.5)),
    'cells.p50_ms_4': round(open(4, 0.5)),
    'cells.p99_ms_1': round(open(1, 0.99)),
    'cells.p99_ms_4': round(open(4, 0.99)),
    'cells.p99_ms_1_busy': round(busy(1, ({ p99 }) => p99)),
    'cells.p99_ms_4_busy': round(busy(4, ({ p99 }) => p99)),
    'cells.tasks_per_s_1': Math.round(busy(1, ({ perSecond }) => perSecond)),
    'cells.tasks_per_s_4': Math.round(busy(4, ({ perSecond }) => perSecond)),
  }
}

const round = (value: number): number => Number(value.toPrecision(3))
