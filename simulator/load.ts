/** What requesters ask for, and when: generated, or after a trace of real requests. */
import type { Model, Plan, RequesterPlan } from './plan.ts'
import { READ } from './plan.ts'
import { between, chance, exponential, lognormal, type Random, randomOf, whole } from './random.ts'

/** Tokens read and written by one task. */
export type Size = { in: number; out: number }

/** One call of a requester, for one task or many. */
export type Order = {
  /** Milliseconds after the one before. */
  wait: number
  requester: RequesterPlan
  model: Model
  sizes: Size[]
  stream: boolean
  /** It thinks better of it after so long; null: never. */
  cancelMs: number | null
}

/** Requests as they came, with the milliseconds since the first; and rates of requests in bins of ten minutes. */
export type Traces = { requests: readonly (Size & { at: number; service: string })[]; rates: readonly number[] }

/** Milliseconds that a task of this size takes on a provider of a speed. */
export const serviceMs = (size: Size, model: Model, speed: number): number =>
  ((size.in * READ + size.out) / (model.speed * speed)) * 1000

/** Calls without end. Their rate is such that the providers are as busy as the plan says. */
export function* ordersOf(plan: Plan, traces: Traces): Generator<Order> {
  const random = randomOf(plan.seed, 'load')
  const runMs = runMsOf(plan, traces)
  const meanMs = runMs / plan.tasks
  const shape = plan.load === 'servegen' ? ratesOf(traces) : waves(random)
  let elapsed = 0
  for (let n = 0; ; ) {
    const order = orderOf(plan, traces, random, n)
    const wait =
      plan.load === 'azure'
        ? gapOf(traces, n, order.sizes.length) * meanMs
        : exponential(random, meanMs * order.sizes.length) / shape(elapsed / runMs)
    elapsed += wait
    n += order.sizes.length
    yield { ...order, wait }
  }
}

function orderOf(plan: Plan, traces: Traces, random: Random, n: number): Omit<Order, 'wait'> {
  const { models, requesters } = plan
  // A few requesters ask for most, and a few models are asked for most.
  const requester = requesters[Math.floor(random() ** 2 * requesters.length)]!
  const model = models[Math.floor(random() * random() * models.length)]!
  const many = chance(random, 0.05) ? 2 + whole(random, 19) : 1
  return {
    requester,
    model,
    sizes: Array.from({ length: many }, (_, i) => sizeOf(plan, traces, random, n + i)),
    stream: model.kind === 'llm.chat' && chance(random, 0.3),
    cancelMs: chance(random, 0.02) ? exponential(random, 15_000) : null,
  }
}

function sizeOf(plan: Plan, { requests }: Traces, random: Random, n: number): Size {
  if (plan.load === 'generated') {
    return { in: Math.ceil(lognormal(random, 300, 1.2)), out: Math.min(2000, Math.ceil(lognormal(random, 120, 1))) }
  }
  return requests[plan.load === 'azure' ? n % requests.length : whole(random, requests.length)]!
}

/** How long it takes until all tasks of a run have been asked for, about. */
export const runMsOf = (plan: Plan, traces: Traces): number =>
  (capacityMs(plan, traces) / plan.utilisation) * plan.tasks

/** Mean milliseconds between tasks at which every slot would be busy all the time. */
function capacityMs(plan: Plan, traces: Traces): number {
  const random = randomOf(plan.seed, 'sizes')
  const sizes = Array.from({ length: 500 }, (_, n) => sizeOf(plan, traces, random, n * 37))
  const work = sizes.reduce((sum, size) => sum + size.in * READ + size.out, 0) / sizes.length
  const speed = plan.models.reduce((sum, model) => sum + model.speed, 0) / plan.models.length
  const slots = plan.providers.reduce((sum, { speed, registration }) => sum + speed * registration.slots, 0)
  return ((work / speed) * 1000) / slots
}

/** The time from the trace's request n to the one `many` later, in means between its requests. */
function gapOf({ requests }: Traces, n: number, many: number): number {
  const mean = requests.at(-1)!.at / requests.length
  const from = requests[n % requests.length]!.at
  const to = requests[(n + many) % requests.length]!.at
  return Math.max(0, to - from) / mean
}

/** A day of the trace, from the run's beginning to its end. */
function ratesOf({ rates }: Traces): (share: number) => number {
  const day = rates.slice(0, 144)
  const mean = day.reduce((sum, rate) => sum + rate, 0) / day.length
  return (share) => day[Math.floor(share * day.length) % day.length]! / mean
}

/** Slow waves, and a burst of three times as much now and then. */
function waves(random: Random): (share: number) => number {
  const count = between(random, 1, 5)
  const depth = between(random, 0, 0.8)
  const bursts = Array.from({ length: whole(random, 4) }, () => random())
  return (share) => {
    const burst = bursts.some((from) => share >= from && share < from + 0.02) ? 3 : 1
    return (1 + depth * Math.sin(2 * Math.PI * count * share)) * burst
  }
}
