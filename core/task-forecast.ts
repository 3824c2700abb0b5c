/** When a task that has not ended will start and finish, as it stands now: asked for apart, so that no task pays for it. */
import { currentAttempt } from './attempts.ts'
import { type Book, openOf } from './book.ts'
import type { Forecast } from './forecast/bands.ts'
import { estimate } from './forecast/eta.ts'
import { remaining } from './forecast/remaining.ts'
import { isActive } from './health.ts'
import { aheadOf, classOf } from './matching.ts'
import { sightOf } from './outlook.ts'
import { scaled } from './outlook-view.ts'
import type { TaskForecast } from './protocol/forecast.ts'

/**
 * A task that waits is looked at as one that came just now to its place in the queue; of one that runs, what is left of its run,
 * given how long it has run. Changes nothing.
 */
export function taskForecast(book: Book, id: string, now: number): TaskForecast {
  const nothing = { at: now, startMs: null, finishMs: null }
  const open = openOf(book, id)
  const outlook = open && book.outlooks.get(classOf(open.task.spec))
  if (!open || !outlook) return nothing
  const { task, want } = open
  const { eta } = outlook
  const attempt = currentAttempt(task)
  const size = task.spec.maxUnits
  if (attempt !== 0) {
    const { run } = estimate(eta, { idle: true, ahead: 0, oldestMs: 0, size })
    const granted = task.attempts[attempt - 1]!.grantedAt
    return { ...nothing, finishMs: eta.run && inMs(remaining(run, now - granted)) }
  }
  const someone = [...book.providers.values()].some(
    (provider) => isActive(provider, now) && provider.supply.offers.some((offer) => classOf(offer) === classOf(want)),
  )
  if (!someone) return nothing
  const { wait, finish } = estimate(eta, sightOf(outlook, aheadOf(book.matching, want), false, size, now))
  return { at: now, startMs: eta.wait && inMs(wait), finishMs: eta.run && inMs(finish) }
}

const inMs = (forecast: Forecast): Forecast => scaled(forecast, 1, 1)
