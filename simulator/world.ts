/** A simulated network: requesters, an edge with the real market, providers and what befalls them, in virtual time by a seed. */
import { DomainError } from '#core/errors.ts'
import type { TaskRequest } from '#core/request.ts'
import { type Agenda, after, createAgenda } from './agenda.ts'
import { type Auditor, auditAll, blame, createAuditor } from './auditor.ts'
import { cancelTask, clockOf, comeBack, createEdge, type Edge, goDown, setClock, takeTasks } from './edge.ts'
import { type Order, ordersOf, runMsOf, type Size, type Traces } from './load.ts'
import { EPOCH, FAULTS, type Fault, type Plan } from './plan.ts'
import { type Agent, crash, createAgent, deliveredOf, type Field, start } from './provider.ts'
import { between, exponential, type Random, randomOf } from './random.ts'
import { createTally, type Tally, tallyBegun, tallyEnded, tallySubmitted } from './tally.ts'

export type World = {
  plan: Plan
  agenda: Agenda
  auditor: Auditor
  edge: Edge
  agents: Agent[]
  field: Field
  tally: Tally
  orders: Generator<Order>
  random: Random
  submitted: number
}

/** Time between two looks at the whole book. */
const AUDIT_MS = 60_000
/** Everybody is there within so long. */
const OPENING_MS = 2_000
const HOUR_MS = 3_600_000

export function createWorld(plan: Plan, traces: Traces): World {
  const agenda = createAgenda(EPOCH)
  const auditor = createAuditor()
  const tally = createTally(plan.tasks)
  const random = randomOf(plan.seed, 'faults')
  const edge: Edge = createEdge(agenda, auditor, {
    delivered: (lease) => deliveredOf(field, lease),
    taskEnded: (task) => tallyEnded(tally, task),
  })
  const field: Field = {
    agenda,
    edge,
    models: new Map(plan.models.map((model) => [model.name, model])),
    jobs: new Map(),
    seen: [],
    begun: (lease) => tallyBegun(tally, edge.book, lease, agenda.now),
    crowded: ({ plan, jobs }) => blame(auditor, 'slots', `${plan.address} has ${jobs.size} leases to run at once`),
  }
  const agents = plan.providers.map((provider) => createAgent(provider, randomOf(plan.seed, provider.address)))
  const world = {
    plan,
    agenda,
    auditor,
    edge,
    agents,
    field,
    tally,
    orders: ordersOf(plan, traces),
    random,
    submitted: 0,
  }
  const runMs = runMsOf(plan, traces)
  for (const agent of agents) {
    after(agenda, random() * OPENING_MS, () => start(field, agent))
    nextFault(world, agent)
  }
  for (let n = 0; n < plan.outages; n++)
    after(agenda, OPENING_MS + random() * runMs, () => outage(world, Math.min(60_000, runMs / 20)))
  after(agenda, OPENING_MS * 2, () => nextOrder(world))
  after(agenda, AUDIT_MS, () => audit(world))
  return world
}

/* Requesters */

function nextOrder(world: World): void {
  if (isLoaded(world)) return
  const order = world.orders.next().value as Order
  after(world.agenda, order.wait, () => {
    place(world, order)
    nextOrder(world)
  })
}

/** True when all tasks have been asked for. */
export const isLoaded = ({ plan, submitted }: World): boolean => submitted >= plan.tasks

function place(world: World, order: Order): void {
  const { plan, edge, agenda, tally } = world
  const sizes = order.sizes.slice(0, plan.tasks - world.submitted)
  world.submitted += sizes.length
  const ids = ask(world, order, sizes)
  tallySubmitted(tally, agenda.now, sizes.length, ids.length)
  if (order.cancelMs === null || ids.length === 0) return
  after(agenda, order.cancelMs, () => {
    if (edge.up) cancelTask(edge, ids[0]!)
  })
}

/** @returns the ids of the tasks, none when the market is away or refuses them */
function ask({ edge }: World, order: Order, sizes: Size[]): string[] {
  if (!edge.up) return []
  try {
    return takeTasks(
      edge,
      order.requester.address,
      sizes.map((size) => requestOf(order, size)),
    )
  } catch (error) {
    if (error instanceof DomainError) return []
    throw error
  }
}

function requestOf({ requester, model, stream }: Order, size: Size): TaskRequest {
  return {
    kind: model.kind,
    model: model.name,
    variant: null,
    input: size,
    bytes: 100,
    bid: BigInt(model.price),
    // A requester does not know what will be written, only what it allows.
    maxUnits: Math.ceil(size.in / 4) + size.out * 2,
    preference: requester.preference,
    minReputation: 0,
    minContext: 0,
    region: requester.region,
    exclude: [],
    deadlineMs: requester.patience,
    maxAttempts: 3,
    stream,
  }
}

/* Faults */

function nextFault(world: World, agent: Agent): void {
  const { agenda, plan, random } = world
  const inAnHour = FAULTS.reduce((sum, fault) => sum + plan.faults[fault], 0)
  if (inAnHour === 0) return
  after(agenda, exponential(random, HOUR_MS / inAnHour), () => {
    befall(world, agent, drawn(random, plan, inAnHour))
    nextFault(world, agent)
  })
}

function drawn(random: Random, { faults }: Plan, inAnHour: number): Fault {
  let left = random() * inAnHour
  for (const fault of FAULTS) {
    left -= faults[fault]
    if (left < 0) return fault
  }
  return 'slow'
}

function befall({ agenda, random, field, tally }: World, agent: Agent, fault: Fault): void {
  const forMs = exponential(random, 40_000)
  tally.faults[fault]++
  switch (fault) {
    case 'crash':
    case 'blackout':
      if (agent.life === 0) return
      crash(field, agent, fault === 'blackout')
      after(agenda, forMs, () => start(field, agent))
      return
    case 'slow':
      agent.slowness = 10
      after(agenda, forMs, () => {
        agent.slowness = 1
      })
      return
    case 'partition':
      agent.cutUntil = agenda.now + forMs
      return
    case 'skew':
      agent.pace = between(random, 0.5, 4)
      after(agenda, forMs, () => {
        agent.pace = 1
      })
      return
    case 'duplicate':
      agent.doubles = agent.stale = true
      after(agenda, forMs, () => {
        agent.doubles = false
      })
      return
    case 'reorder':
      agent.shuffles = agent.stale = true
      after(agenda, forMs, () => {
        agent.shuffles = false
      })
  }
}

/** The market is away for a while, and back with a clock that is a little off. */
function outage(world: World, meanMs: number): void {
  const { agenda, edge, random, tally } = world
  if (!edge.up) return
  tally.outages++
  goDown(edge)
  after(agenda, exponential(random, meanMs), () => {
    setClock(edge, Math.round(between(random, -2000, 2000)))
    comeBack(edge)
  })
}

function audit(world: World): void {
  const { edge, agenda, auditor } = world
  if (edge.up) auditAll(auditor, edge.book, clockOf(edge))
  after(agenda, AUDIT_MS, () => audit(world))
}
