/** Many small simulated networks, one a seed, on two threads: what they reach together, and which of them broke a rule. */
import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import type { Traces } from '../simulator/load.ts'
import { FAULTS, plansOf } from '../simulator/plan.ts'
import { reportOf } from '../simulator/report.ts'
import { run } from '../simulator/run.ts'

/** Tasks of each: enough for every fault to befall some of the seeds, and small enough for thousands of them. */
const TASKS = 16
const THREADS = Math.min(2, availableParallelism())

export type Seeds = {
  seeds: number
  virtualHours: number
  tasks: number
  attempts: number
  events: number
  faults: Record<string, number>
  outages: number
  /** Within so long 95 % of a seed's tasks ended, ms of virtual time: the most of any seed. */
  slowestMs: number
  violations: number
  /** Commands that replay those which broke a rule, the first ones. */
  broken: string[]
}

/** Runs the seeds from `first` on. */
export async function runSeeds(first: number, count: number, traces: Traces): Promise<Seeds> {
  const parts = await Promise.all(
    Array.from({ length: THREADS }, (_, thread) => {
      const { promise, resolve, reject } = Promise.withResolvers<Seeds>()
      const worker = new Worker(new URL(import.meta.url), { workerData: { first, count, thread, traces } })
      worker.once('message', resolve)
      worker.once('error', reject)
      return promise
    }),
  )
  return parts.reduce(add)
}

const nothing = (): Seeds => ({
  seeds: 0,
  virtualHours: 0,
  tasks: 0,
  attempts: 0,
  events: 0,
  faults: {},
  outages: 0,
  slowestMs: 0,
  violations: 0,
  broken: [],
})

function runSome({ first, count, thread, traces }: { first: number; count: number; thread: number; traces: Traces }) {
  let sum = nothing()
  for (let seed = first + thread; seed < first + count; seed += THREADS) {
    const cells = plansOf(seed, TASKS).map((plan) => run(plan, traces))
    const { virtualMs, accepted, attempts, events, faults, outages, finishMs, violations, command } = reportOf(
      seed,
      TASKS,
      cells,
    )
    sum = add(sum, {
      seeds: 1,
      virtualHours: virtualMs / 3_600_000,
      tasks: accepted,
      attempts,
      events,
      faults,
      outages,
      slowestMs: finishMs.p95 ?? 0,
      violations,
      broken: violations > 0 ? [command] : [],
    })
  }
  return sum
}

function add(x: Seeds, y: Seeds): Seeds {
  return {
    seeds: x.seeds + y.seeds,
    virtualHours: x.virtualHours + y.virtualHours,
    tasks: x.tasks + y.tasks,
    attempts: x.attempts + y.attempts,
    events: x.events + y.events,
    faults: Object.fromEntries(FAULTS.map((fault) => [fault, (x.faults[fault] ?? 0) + (y.faults[fault] ?? 0)])),
    outages: x.outages + y.outages,
    slowestMs: Math.max(x.slowestMs, y.slowestMs),
    violations: x.violations + y.violations,
    broken: [...x.broken, ...y.broken].slice(0, 20),
  }
}

if (!isMainThread) parentPort!.postMessage(runSome(workerData))
