/** A run of one cell from its first task to its last. */
import { advance } from './agenda.ts'
import { auditAll, blame, blameError, digestOf, driftOf } from './auditor.ts'
import { clockOf } from './edge.ts'
import type { Traces } from './load.ts'
import { EPOCH, type Plan } from './plan.ts'
import { createWorld, isLoaded, type World } from './world.ts'

export type Outcome = ReturnType<typeof run>

/** After so many violations a run is given up, and when tasks are open so long after the last was asked for. */
const ENOUGH = 100
const LONGEST_MS = 6 * 3_600_000

export function run(plan: Plan, traces: Traces) {
  const world = createWorld(plan, traces)
  const { auditor, edge, agenda } = world
  let loadedAt = Number.POSITIVE_INFINITY
  while ((!isLoaded(world) || edge.book.tasks.size > 0 || !edge.up) && auditor.violated < ENOUGH) {
    try {
      advance(agenda)
    } catch (error) {
      blameError(auditor, error)
    }
    if (isLoaded(world)) loadedAt = Math.min(loadedAt, agenda.now)
    if (agenda.now - loadedAt < LONGEST_MS) continue
    blame(auditor, 'ends', `${edge.book.tasks.size} tasks do not end`)
    break
  }
  auditAll(auditor, edge.book, clockOf(edge))
  return outcomeOf(world)
}

function outcomeOf({ plan, tally, auditor, edge, agenda }: World) {
  return {
    load: plan.load,
    utilisation: plan.utilisation,
    models: plan.models.length,
    providers: plan.providers.length,
    cheats: plan.providers.filter(({ cheat }) => cheat !== null).length,
    requesters: plan.requesters.length,
    virtualMs: agenda.now - EPOCH,
    drift: driftOf(edge.book, edge.accounts.values()),
    tally,
    ends: auditor.ends,
    attempts: auditor.granted,
    retried: auditor.retried,
    seconds: auditor.seconds,
    late: auditor.late,
    events: auditor.events,
    violated: auditor.violated,
    violations: auditor.violations,
    digest: digestOf(auditor),
  }
}
