/** `npm run simulate -- --seed N [--tasks N] [--json] [--html FILE]`: a network of thousands in virtual time, on the real market; with
 * `--compare` the market's matching against that of others. */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { seconds, terminal } from '../client/cli/terminal.ts'
import { type Comparison, compare, gainOf } from '../simulator/compare.ts'
import type { Traces } from '../simulator/load.ts'
import { pageOf } from '../simulator/page.ts'
import { type Plan, plansOf } from '../simulator/plan.ts'
import { duration, type Report, reportLines, reportOf } from '../simulator/report.ts'
import { type Outcome, run } from '../simulator/run.ts'
import { readTraces } from '../test/bench/traces.ts'
import { Fault } from './checks.ts'

const USAGE = 'usage: npm run simulate -- [--seed N] [--tasks N] [--json] [--html FILE | --compare]'

type Options = { seed: number; tasks: number; json: boolean; html: string | undefined; compare: boolean }

async function main({ seed, tasks, json, html, compare: compares }: Options): Promise<number> {
  const traces = readTraces()
  if (compares) {
    tellComparisons(compare(seed, tasks, traces), seed, json)
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
  } else print(report)
  // Not part of the report, which says the same each time.
  errors.note(`${tasksPerS.toLocaleString('en')} tasks a second, ${seconds(ms)}.`)
  return report.violations === 0 ? 0 : 1
}

/** Each cell on a thread of its own; a single one on ours. */
async function runCells(plans: Plan[], traces: Traces): Promise<Outcome[]> {
  const [only] = plans
  if (plans.length === 1) return [run(only!, traces)]
  return Promise.all(
    plans.map((plan) => {
      const { promise, resolve, reject } = Promise.withResolvers<Outcome>()
      const thread = new Worker(new URL('./simulate-cell.ts', import.meta.url), { workerData: { plan, traces } })
      thread.once('message', resolve)
      thread.once('error', reject)
      return promise
    }),
  )
}

function print(report: Report): void {
  const out = terminal(process.stdout)
  out.heading(`Simulation, seed ${report.seed}`)
  for (const [label, text] of reportLines(report)) out.item(label, text)
  if (report.violations === 0) return
  out.line()
  for (const { at, rule, what } of report.firstViolations) {
    out.warning(`${rule}: ${what}`, `at ${new Date(at).toISOString()}`)
  }
  out.fault(`The market broke its rules ${report.violations} times.`, `Replay it: ${report.command}`)
}

function tellComparisons(comparisons: Comparison[], seed: number, json: boolean): void {
  if (json) {
    console.log(
      JSON.stringify({ compare: seed, comparisons: comparisons.map((one) => ({ ...one, gain: gainOf(one) })) }),
    )
    return
  }
  const out = terminal(process.stdout)
  const share = (part: number) => `${Math.abs(part * 100).toFixed(0)} % ${part < 0 ? 'more' : 'less'}`
  for (const comparison of comparisons) {
    const { best, wait, price } = gainOf(comparison)
    out.heading(comparison.mix)
    for (const { matcher, waitP50, waitP95, waitMost, price, fairness, loads } of comparison.scores) {
      const waits = `waits ${duration(waitP50)}, 95 % ${duration(waitP95)}, at most ${duration(waitMost)}`
      out.item(matcher, `${waits}; price ${price.toFixed(3)}; fairness ${fairness.toFixed(3)}; ${loads} loads`)
    }
    out.item('', out.faint(`against ${best}: 95 % waits ${share(wait)}, price ${share(price)}`))
  }
}

function options(): Options {
  try {
    const { values } = parseArgs({
      options: {
        seed: { type: 'string' },
        tasks: { type: 'string' },
        json: { type: 'boolean' },
        html: { type: 'string' },
        compare: { type: 'boolean' },
      },
    })
    return {
      seed: integer('--seed', values.seed ?? '1', 0, 2 ** 32 - 1),
      tasks: integer('--tasks', values.tasks ?? '10000', 1, 10_000_000),
      json: values.json ?? false,
      html: values.html,
      compare: values.compare ?? false,
    }
  } catch (error) {
    if (error instanceof Fault) throw error
    throw new Fault(`${(error as Error).message}.`, USAGE)
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
