/** Mixes of work for comparing ways to match: the same tasks, providers and physics for each of them, and no faults. */
import { formatAmount } from '#core/money.ts'
import type { Offer } from '#core/protocol/provider.ts'
import type { Size, Traces } from './load.ts'
import { address, READ } from './plan.ts'
import { exponential, lognormal, type Random, randomOf, whole } from './random.ts'

/** `at`: milliseconds after the first. `units`: what it will be paid for. */
export type Job = { n: number; at: number; requester: number; model: string; size: Size; units: number }

/** A machine holds one model at a time, and takes `loadMs` to load another; `speed`: tokens a second. */
export type Machine = { n: number; slots: number; speed: number; ask: number; loadMs: number; models: string[] }

export type Mix = { name: string; jobs: Job[]; machines: Machine[]; requesters: number }

export const MIXES = ['azure', 'models', 'dedicated', 'hitter'] as const
export type MixName = (typeof MIXES)[number]

type Shape = { models: number; offered: number; requesters: number; load: number; hitter: boolean }

/**
 * `azure`: the trace, whose two services are two models that every machine offers. `models`: many models, of which a machine offers a
 * few. `dedicated`: as many, each machine with one. `hitter`: `models` with more work than the machines can do, and one requester
 * that asks for ten times as much as any other.
 */
const SHAPES: Record<MixName, Shape> = {
  azure: { models: 2, offered: 2, requesters: 50, load: 0.4, hitter: false },
  models: { models: 8, offered: 4, requesters: 50, load: 0.25, hitter: false },
  dedicated: { models: 8, offered: 1, requesters: 50, load: 0.6, hitter: false },
  hitter: { models: 4, offered: 2, requesters: 20, load: 1.2, hitter: true },
}
const MACHINES = 60

/** @param tasks so many, at most as the trace has */
export function mixOf(name: MixName, seed: number, tasks: number, traces: Traces): Mix {
  const shape = SHAPES[name]
  const random = randomOf(seed, name)
  const machines = Array.from({ length: MACHINES }, (_, n) => machineOf(n, shape, random))
  const jobs = name === 'azure' ? traced(shape, tasks, traces, random) : generated(shape, tasks, random)
  // The times are stretched until the machines are as busy as the mix says, were no model ever to be loaded.
  const work = jobs.reduce((sum, { size }) => sum + size.in * READ + size.out, 0)
  const speed = machines.reduce((sum, machine) => sum + machine.speed * machine.slots, 0)
  const stretch = ((work / speed) * 1000) / shape.load / jobs.at(-1)!.at
  return {
    name,
    jobs: jobs.map((job) => ({ ...job, at: Math.round(job.at * stretch) })),
    machines,
    requesters: shape.requesters,
  }
}

function machineOf(n: number, { models, offered }: Shape, random: Random): Machine {
  const speed = lognormal(random, 60, 0.5)
  // Faster ones ask more, though not in proportion.
  const ask = Math.round(1e12 * Math.sqrt(speed / 60) * lognormal(random, 1, 0.25))
  const first = offered === models ? 0 : n % models
  const names = Array.from({ length: offered }, (_, i) => `m${(first + i) % models}`)
  return { n, slots: 1, speed, ask, loadMs: Math.round(lognormal(random, 8000, 0.3)), models: names }
}

function traced({ requesters }: Shape, tasks: number, { requests }: Traces, random: Random): Job[] {
  return requests
    .slice(0, tasks)
    .map(({ at, service, ...size }, n) =>
      jobOf(n, at, whole(random, requesters), service === 'code' ? 'm0' : 'm1', size),
    )
}

function generated({ models, requesters, hitter }: Shape, tasks: number, random: Random): Job[] {
  let at = 0
  return Array.from({ length: tasks }, (_, n) => {
    at += exponential(random, 1)
    const who = hitter ? Math.max(0, whole(random, requesters + 9) - 9) : whole(random, requesters)
    const size = {
      in: Math.ceil(lognormal(random, 300, 1)),
      out: Math.min(1500, Math.ceil(lognormal(random, 120, 0.9))),
    }
    return jobOf(n, at, who, `m${whole(random, models)}`, size)
  })
}

const jobOf = (n: number, at: number, requester: number, model: string, size: Size): Job => ({
  n,
  at,
  requester,
  model,
  size,
  units: Math.ceil(size.in / 4) + size.out,
})

export const offersOf = ({ models, ask, speed }: Machine): Offer[] =>
  models.map((model) => ({ kind: 'llm.chat', model, ask: formatAmount(BigInt(ask)), speed }))

export const machineAddress = ({ n }: Machine) => address(0xb0_0000 + n)
