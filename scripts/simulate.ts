/** `npm run simulate -- --seed N [--tasks N] [--json] [--html FILE]`: a network of thousands in virtual time, on the real market; with
 * `--seeds N` so many small ones, from `--seed` on, with `--compare` the market's matching against that of others, with `--stragglers` what second attempts are worth,
 * with `--cheaters` what its assurances are. */
import { writeFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { seconds, terminal } from '../client/cli/terminal.ts'
import { trialsOf } from '../simulator/cheaters.ts'
import { compare, gainOf } from '../simulator/compare.ts'
import type { Traces } from '../simulator/load.ts'
import { pageOf } from '../simulator/page.ts'
import { type Plan, plansOf } from '../simulator/plan.ts'
import { reportOf } from '../simulator/report.ts'
import { type Outcome, run } from '../simulator/run.ts'
import { stragglers } from '../simulator/stragglers.ts'
import { trialsPageOf } from '../simulator/trials-page.ts'
import type { TrialScore } from '../simulator/verdicts.ts'
import { readTraces } from '../test/bench/traces.ts'
import { Fault, parseArguments } from './checks.ts'
import { runSeeds } from './simulate-seeds.ts'
import { tellComparisons, tellReport, tellSeeds, tellStragglers, tellTrials } from './simulate-tell.ts'

const USAGE =
  'usage: npm run simulate -- [--seed N] [--tasks N] [--json] [--seeds N | --compare | --stragglers | [--cheaters] [--html FILE]]'

type Options = {
  seed: number
  tasks: number
  json: boolean
  html: string | undefined
  seeds: number | null
  compare: boolean
  stragglers: boolean
  cheaters: boolean
}

async function main(options: Options): Promise<number> {
  const { seed, tasks, json, html, seeds, cheaters } = options
  const traces = readTraces()
  if (seeds !== null) {
    const from = performance.now()
    const sum = await runSeeds(seed, seeds, traces)
    const ms = Math.round(performance.now() - from)
    if (json) console.log(JSON.stringify({ seeds: sum, ms }))
    else tellSeeds(sum, ms)
    return sum.violations === 0 ? 0 : 1
  }
  if (options.compare) {
    const comparisons = compare(seed, tasks, traces).map((one) => ({ ...one, gain: gainOf(one) }))
    if (json) console.log(JSON.stringify({ compare: seed, comparisons }))
    else tellComparisons(comparisons)
    return 0
  }
  if (options.stragglers) {
    const scores = stragglers(seed, tasks)
    if (json) console.log(JSON.stringify({ stragglers: seed, tasks, scores }))
    else tellStragglers(scores)
    return scores.some(({ violations }) => violations > 0) ? 1 : 0
  }
  if (cheaters) {
    const scores = await runTrials(seed, tasks)
    if (html !== undefined) writeFileSync(html, trialsPageOf(seed, tasks, scores))
    if (json) console.log(JSON.stringify({ cheaters: seed, tasks, scores }))
    else tellTrials(scores)
    return 0
  }
  const from = performance.now()
  const report = reportOf(seed, tasks, await runCells(plansOf(seed, tasks), traces))
  const ms = performance.now() - from
  const tasksPerS = Math.round((report.asked / ms) * 1000)
  if (html !== undefined) writeFileSync(html, pageOf(report))
  if (json) {
    const { violations, digest, minutes: _, ...rest } = report
    const figures = {
      'simulate.tasks_per_s': tasksPerS,
      'simulate.violations': violations,
      'simulate.digest': digest,
    }
    console.log(JSON.stringify({ simulate: seed, figures, report: rest }))
  } else tellReport(report)
  // Not part of the report, which says the same each time.
  errors.note(`${tasksPerS.toLocaleString('en')} tasks a second, ${seconds(ms)}.`)
  return report.violations === 0 ? 0 : 1
}

/** Each cell on a thread of its own; a single one on ours. */
async function runCells(plans: Plan[], traces: Traces): Promise<Outcome[]> {
  const [only] = plans
  if (plans.length === 1) return [run(only!, traces)]
  return Promise.all(plans.map((plan) => onThread<Outcome>('./simulate-cell.ts', { plan, traces })))
}

/** Every other trial on a thread of its own. */
async function runTrials(seed: number, tasks: number): Promise<TrialScore[]> {
  const all = trialsOf()
  const halves = [0, 1].map((half) => all.filter((_, n) => n % 2 === half))
  const [even, odd] = await Promise.all(
    halves.map((trials) => onThread<TrialScore[]>('./simulate-trials.ts', { trials, seed, tasks })),
  )
  return all.map((_, n) => (n % 2 === 0 ? even! : odd!)[n >> 1]!)
}

function onThread<T>(file: string, workerData: object): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const thread = new Worker(new URL(file, import.meta.url), { workerData })
  thread.once('message', resolve)
  thread.once('error', reject)
  return promise
}

function options(): Options {
  const { values } = parseArguments(
    {
      options: {
        seed: { type: 'string' },
        tasks: { type: 'string' },
        json: { type: 'boolean' },
        html: { type: 'string' },
        seeds: { type: 'string' },
        compare: { type: 'boolean' },
        stragglers: { type: 'boolean' },
        cheaters: { type: 'boolean' },
      },
    },
    USAGE,
  )
  return {
    seed: integer('--seed', values.seed ?? '1', 0, 2 ** 32 - 1),
    tasks: integer('--tasks', values.tasks ?? '10000', 1, 10_000_000),
    json: values.json ?? false,
    html: values.html,
    seeds: values.seeds === undefined ? null : integer('--seeds', values.seeds, 1, 100_000_000),
    compare: values.compare ?? false,
    stragglers: values.stragglers ?? false,
    cheaters: values.cheaters ?? false,
  }
}

function integer(name: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= least && value <= most) return value
  throw new Fault(`${name} is "${text}", not a whole number from ${least} to ${most}.`, USAGE)
}

const errors = terminal(process.stderr)
try {
  process.exitCode = await main(options())
} catch (error) {
  if (error instanceof Fault) errors.fault(error.message, error.mend)
  else console.error(error)
  process.exitCode = 1
}
