/** One cell of a simulated network, on a thread of its own; see scripts/simulate.ts. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Traces } from '../simulator/load.ts'
import type { Plan } from '../simulator/plan.ts'
import { run } from '../simulator/run.ts'

const { plan, traces } = workerData as { plan: Plan; traces: Traces }
parentPort!.postMessage(run(plan, traces))
