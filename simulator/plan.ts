/** What a run is made of. All of it follows from the seed and the number of tasks, so that these two replay a run. */
import { PREFERENCES } from '#core/matching.ts'
import { formatAmount } from '#core/money.ts'
import type { Register } from '#core/protocol/provider.ts'
import type { Preference } from '#core/protocol/quote.ts'
import { type Address, Region } from '#core/protocol/values.ts'
import type { Kind } from '#core/protocol/work.ts'
import { between, chance, lognormal, oneOf, type Random, randomOf, whole } from './random.ts'

/** What may go wrong with a provider, and how often in an hour; an outage is the edge's own. */
export const FAULTS = ['crash', 'blackout', 'slow', 'partition', 'skew', 'duplicate', 'reorder'] as const
export type Fault = (typeof FAULTS)[number]

/**
 * How a provider cheats. `forger`: sends results for leases of others. `inflater`: reports a hundred times the tokens. `sloppy`: sends
 * outputs that are none. `hoarder`: renews its leases and finishes nothing. `braggart`: says that it is twenty times as fast.
 */
export const CHEATS = ['forger', 'inflater', 'sloppy', 'hoarder', 'braggart'] as const
export type Cheat = (typeof CHEATS)[number]

export const LOADS = ['generated', 'azure', 'servegen'] as const
export type Load = (typeof LOADS)[number]

/** `speed`: output tokens a second on a provider of speed 1; a token read counts `READ` of one written. `price`: base units. */
export type Model = { kind: Kind; name: string; speed: number; price: number }
export const READ = 1 / 40

export type ProviderPlan = {
  address: Address
  registration: Register
  /** Times as fast as the models' own speed. */
  speed: number
  /** Of its attempts it fails so many by itself. */
  flaky: number
  cheat: Cheat | null
  /** Mean time of a message to the edge, ms. */
  latencyMs: number
}

export type RequesterPlan = { address: Address; preference: Preference; region: Region | null; patience: number }

export type Plan = {
  seed: number
  tasks: number
  load: Load
  /** Of the providers' time the tasks take so much, on average. */
  utilisation: number
  models: Model[]
  providers: ProviderPlan[]
  requesters: RequesterPlan[]
  /** Of each fault so many in a provider's hour. */
  faults: Record<Fault, number>
  outages: number
}

/** A run's beginning, by no clock. */
export const EPOCH = Date.UTC(2026, 0, 1)

export const address = (n: number): Address => `0x${n.toString(16).padStart(40, '0')}`
const FIRST_PROVIDER = 0xb0_0000
const FIRST_REQUESTER = 0xa0_0000

/** A larger run is two cells, each a market of its own, so that it takes two processors. */
const CELL_TASKS = 100_000

/** The cells of a run. */
export function plansOf(seed: number, tasks: number): Plan[] {
  const cells = tasks > CELL_TASKS ? 2 : 1
  return Array.from({ length: cells }, (_, cell) =>
    planOf(seed + cell * 2 ** 32, Math.floor((tasks + cells - 1 - cell) / cells)),
  )
}

function planOf(seed: number, tasks: number): Plan {
  const random = randomOf(seed, 'plan')
  const providers = Math.min(4000, Math.max(8, Math.round(tasks / 250)))
  const requesters = Math.min(2000, Math.max(4, Math.round(tasks / 500)))
  const models = Array.from({ length: 1 + whole(random, 12) }, (_, n) => modelOf(random, n))
  const cheats = oneOf(random, [0, 0.1, 0.3])
  const stormy = oneOf(random, [1, 10, 60])
  return {
    seed,
    tasks,
    load: oneOf(random, LOADS),
    utilisation: between(random, 0.4, 1.1),
    models,
    // The first offers every model, so that there is always one to ask for.
    providers: Array.from({ length: providers }, (_, n) =>
      providerOf(random, n, n === 0 ? models : some(random, models), cheats),
    ),
    requesters: Array.from({ length: requesters }, (_, n) => ({
      address: address(FIRST_REQUESTER + n),
      preference: oneOf(random, PREFERENCES),
      region: chance(random, 0.1) ? oneOf(random, REGIONS) : null,
      patience: between(random, 60_000, 900_000),
    })),
    faults: Object.fromEntries(FAULTS.map((fault) => [fault, random() * stormy])) as Record<Fault, number>,
    outages: whole(random, 3),
  }
}

const REGIONS = Region.options.slice(0, 4)

function modelOf(random: Random, n: number): Model {
  const kind: Kind = chance(random, 0.8) ? 'llm.chat' : 'text.embed'
  const speed = lognormal(random, 60, 0.7)
  return { kind, name: `model-${n}`, speed, price: Math.round(lognormal(random, 1e12, 0.8)) }
}

function some(random: Random, models: Model[]): Model[] {
  // As many offer a model as ask for it.
  const from = Math.floor(random() * random() * models.length)
  return models.slice(from, from + 1 + whole(random, 4))
}

function providerOf(random: Random, n: number, models: Model[], cheats: number): ProviderPlan {
  const speed = lognormal(random, 1, 0.6)
  const cheat = n > 0 && chance(random, cheats) ? oneOf(random, CHEATS) : null
  const said = cheat === 'braggart' ? 20 : between(random, 0.9, 1.1)
  const offers = models.map(({ kind, name, price, speed: own }) => ({
    kind,
    model: name,
    ask: formatAmount(BigInt(Math.round(price * lognormal(random, 0.5, 0.4)))),
    speed: Math.max(1, own * speed * said),
  }))
  return {
    address: address(FIRST_PROVIDER + n),
    registration: {
      name: '',
      slots: 1 + whole(random, 4),
      offers,
      agent: 'simulated',
      ...(chance(random, 0.7) && { region: oneOf(random, REGIONS) }),
    },
    speed,
    flaky: chance(random, 0.2) ? random() * 0.3 : 0,
    cheat,
    latencyMs: lognormal(random, 40, 0.7),
  }
}
