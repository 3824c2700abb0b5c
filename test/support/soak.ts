/** A steady load on a real network for a long while, with faults: whether all adds up, and whether anything creeps. */
import { setTimeout as wait } from 'node:timers/promises'
import { call } from '../../client/edge.ts'
import type { TaskView } from '../../core/protocol/task.ts'
import { quantile } from '../bench/load.ts'
import { memoryMb } from '../bench/usage.ts'
import { createWorld, type Member, newRequester, readTask, seeded, unlessDown, type World } from './fault-world.ts'
import { booksGap, readBooks, untilSettled } from './ledger.ts'
import { createProgress } from './progress.ts'
import { startPuller } from './pull-provider.ts'

export type SoakPlan = { minutes: number; perSecond: number; log: (line: string) => void }
export type Soaked = {
  seed: number
  minutes: number
  tasks: number
  kills: number
  /** Milliseconds from a kill until the edge served again: the most. */
  slowestServe: number
  /**
   * By what share the memory of workerd and the 99th percentile of waits grew from the third quarter of the time to the last. Of memory the
   * least of each: what is above that is garbage, which the engine collects all of once in a quarter of an hour or so.
   */
  slopes: { memory: number | null; p99: number | null }
  memoryMb: number
  p99Ms: number
  /** What did not hold. */
  faults: string[]
}

const PULLERS = 4
const SLOTS = 16
const UNRULY = 0.01
const MODEL = 'soak/pull'
/** Time between two kills of the edge in the first quarter of the time, and between two looks at it. */
const KILL_MS = 20_000
/** A process takes some minutes to take all the memory that it needs: it has the second quarter for that. */
const KILLING = 1 / 4
const LOOK_MS = 1_000
/** What has grown by more than this over the second half creeps; a soak that is shorter than this many minutes cannot tell. */
const CREEP = 0.05
const TELLING_MINUTES = 10

type Sample = { at: number; value: number }
/** A task that was acknowledged ends within this time, whatever befalls it. */
const LONGEST_MS = 120_000

export async function soak({ minutes, perSecond, log }: SoakPlan): Promise<Soaked> {
  const seed = Date.now() % 1e9
  const random = seeded(seed)
  const world = await createWorld()
  try {
    const progress = createProgress()
    const plan = { offer: { kind: 'llm.chat' as const, model: MODEL }, slots: SLOTS, random, progress, unruly: UNRULY }
    const pullers = await Promise.all(Array.from({ length: PULLERS }, () => startPuller(world, plan)))
    const requester = await newRequester(world)
    const failed = Promise.race(pullers.map((puller) => puller.failed))
    const began = performance.now()
    const until = began + minutes * 60_000
    const looks: Sample[] = []
    const waits: Sample[] = []
    const faults: string[] = []
    const downs: number[] = []

    const submitting = (async () => {
      const open = new Set<Promise<void>>()
      for (let due = began; due < until; due += 1000 / perSecond) {
        await wait(Math.max(0, due - performance.now()))
        const one = submitOne(world, requester)
          .then((task) => {
            if (task?.fault) faults.push(task.fault)
            else if (task) waits.push({ at: performance.now(), value: task.ms })
          })
          .finally(() => open.delete(one))
        open.add(one)
      }
      await Promise.all(open)
    })()
    const looking = (async () => {
      for (let told = 0; performance.now() < until; await wait(LOOK_MS)) {
        const value = memoryMb(world.workerd() ?? 0)
        if (value > 0) looks.push({ at: performance.now(), value })
        const minute = Math.floor((performance.now() - began) / 60_000)
        if (minute > told) log(`minute ${minute}: ${waits.length} tasks, the edge takes ${Math.round(value)} MB`)
        told = minute
      }
    })()
    const killing = (async () => {
      for (; performance.now() + KILL_MS / 2 < began + (until - began) * KILLING; ) {
        await wait(KILL_MS)
        downs.push(await world.crash())
        log(`the edge was killed, and served again after ${Math.round(downs.at(-1)!)} ms; ${waits.length} tasks so far`)
      }
    })()
    await Promise.race([Promise.all([submitting, looking, killing]), failed])
    await Promise.race([Promise.all(pullers.map((puller) => puller.stop())), failed])

    faults.push(...(await gapsOf(world)))
    const quarter = (samples: Sample[], nth: number) => {
      const [from, to] = [nth, nth + 1].map((n) => began + (n * (until - began)) / 4)
      return samples.filter(({ at }) => at >= from! && at < to!).map(({ value }) => value)
    }
    const growth = (samples: Sample[], of: (values: number[]) => number) =>
      minutes < TELLING_MINUTES ? null : of(quarter(samples, 3)) / of(quarter(samples, 2)) - 1
    const slopes = { memory: growth(looks, leastOf), p99: growth(waits, p99Of) }
    for (const [what, slope] of Object.entries(slopes)) {
      if (slope !== null && slope > CREEP) faults.push(`${what} grew by ${(slope * 100).toFixed(1)} %`)
    }
    return {
      seed,
      minutes,
      tasks: waits.length,
      kills: downs.length,
      slowestServe: Math.round(Math.max(0, ...downs)),
      slopes,
      memoryMb: Math.round(mean(quarter(looks, 3))),
      p99Ms: Math.round(p99Of(waits.map(({ value }) => value))),
      faults,
    }
  } finally {
    await world.end()
  }
}

/** Submits a task and holds on until it ends. Undefined when its submission was not acknowledged, for the edge went away. */
async function submitOne(world: World, requester: Member): Promise<{ ms: number; fault?: string } | undefined> {
  const from = performance.now()
  const input = { messages: [{ role: 'user', content: '0' }], max_tokens: 64 }
  const body = { kind: 'llm.chat', model: MODEL, input, maxAttempts: 10 }
  const made = await unlessDown(world, () => call<TaskView>(requester.caller, 'POST', '/v1/tasks', { body }))
  if (!made) return undefined
  for (;;) {
    const task = await unlessDown(world, () => readTask(requester, made.id, 25))
    const ms = performance.now() - from
    if (task?.status === 'succeeded') return { ms }
    if (task?.finishedAt) return { ms, fault: `${task.id} is ${task.status}` }
    if (ms > LONGEST_MS) return { ms, fault: `${made.id} does not end` }
  }
}

/** What does not add up once all is told. */
async function gapsOf(world: World): Promise<string[]> {
  const { missing } = await untilSettled(world, 20_000)
  const gaps = Object.entries({ missing, ...booksGap(await readBooks(world)) })
  return gaps.filter(([, amount]) => amount !== 0n).map(([what, amount]) => `${what} differs by ${amount} base units`)
}

const leastOf = (values: number[]): number => values.reduce((least, value) => Math.min(least, value))
const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
const p99Of = (values: number[]): number =>
  quantile(
    [...values].sort((x, y) => x - y),
    0.99,
  )
