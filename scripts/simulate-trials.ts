/** Some of the trials of cheaters, on a thread of their own; see scripts/simulate.ts. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Trial } from '../simulator/cheaters.ts'
import { scoreOf } from '../simulator/verdicts.ts'

const { trials, seed, tasks } = workerData as { trials: Trial[]; seed: number; tasks: number }
parentPort!.postMessage(trials.map((trial) => scoreOf(trial, seed, tasks)))
