/**
 * Which tasks are refused because they would not be done in time. A queue that is longer than its tasks may wait helps nobody: what comes
 * to its head is nearly over by then, and providers work for nothing.
 */
import type { Book } from './book.ts'
import { DomainError } from './errors.ts'
import { latestGrants } from './grants.ts'
import { classOf, hasRoom, MOST_AHEAD, parseClass } from './matching.ts'
import type { Address } from './protocol/values.ts'
import type { TaskRequest } from './request.ts'
import { parseTaskId } from './task-id.ts'
import { waitingIn } from './unread.ts'

/**
 * What waits in a class: tasks of each requester, and the milliseconds in which one of them is given out. `pace` is null when nothing is
 * known of that, or while somebody has room: then nothing is counted. Soft: counted when it is asked for, and kept for a moment.
 */
export type Backlog = { at: number; waiting: Map<Address, number>; pace: number | null }

/** Who has fewer tasks waiting is not refused. Nor is anything while there are fewer in all, so a market that keeps up looks no further. */
const FEW = 8
/** Of its time a task may wait so much; the rest is for its run, and for what is misjudged here. */
const SHARE = 0.5
const LOOK_MS = 500
/** The pace is that of the latest grants, so many at most and so many at least. */
const MOST_GRANTS = 200
const LEAST_GRANTS = 4
const MOST_RETRY_SECONDS = 60

type Asked = { tasks: number; deadlineMs: number }

/**
 * Refuses tasks of a requester that would wait for more than half of their time, and else counts them as waiting.
 * @param models those of the requests, in order
 * @throws DomainError overloaded
 */
export function checkBacklog(
  book: Book,
  requester: Address,
  requests: TaskRequest[],
  models: { model: string }[],
  now: number,
): void {
  if (book.matching.queued < FEW) return
  const asked = new Map<string, Asked>()
  for (const [i, request] of requests.entries()) {
    const name = classOf({ kind: request.kind, model: models[i]!.model })
    const { tasks, deadlineMs } = asked.get(name) ?? { tasks: 0, deadlineMs: Number.POSITIVE_INFINITY }
    asked.set(name, { tasks: tasks + 1, deadlineMs: Math.min(deadlineMs, request.deadlineMs) })
  }
  const backlogs = [...asked].map(([name, of]) => ({ of, backlog: backlogOf(book, name, now) }))
  for (const { of, backlog } of backlogs) check(backlog, requester, of)
  for (const { of, backlog } of backlogs) {
    backlog.waiting.set(requester, (backlog.waiting.get(requester) ?? 0) + of.tasks)
  }
}

function check({ waiting, pace }: Backlog, requester: Address, { tasks, deadlineMs }: Asked): void {
  const own = waiting.get(requester) ?? 0
  if (own < FEW || pace === null) return
  // Requesters take turns: before the last of these come as many of each other.
  let ahead = 0
  for (const [other, count] of waiting) ahead += Math.min(count, other === requester ? own : own + tasks)
  const waitMs = (ahead + tasks) * pace
  const over = waitMs - SHARE * deadlineMs
  if (over <= 0) return
  throw new DomainError('overloaded', {
    detail: `it would wait for some ${Math.ceil(waitMs / 1000)} s, and has ${deadlineMs / 1000} s in all`,
    retryAfterSeconds: Math.min(MOST_RETRY_SECONDS, Math.ceil(over / 1000)),
  })
}

function backlogOf(book: Book, name: string, now: number): Backlog {
  const known = book.backlogs.get(name)
  if (known && now >= known.at && now - known.at < LOOK_MS) return known
  const pace = hasRoom(book.matching, parseClass(name)) ? null : paceOf(book, name, now)
  const backlog: Backlog = { at: now, pace, waiting: pace === null ? new Map() : waitingOf(book, name) }
  book.backlogs.set(name, backlog)
  return backlog
}

function waitingOf({ matching }: Book, name: string): Backlog['waiting'] {
  const waiting: Backlog['waiting'] = new Map()
  const { kind, model } = parseClass(name)
  let left = MOST_AHEAD
  for (const tree of matching.queues.get(kind)?.get(model)?.values() ?? []) {
    for (const { requester } of waitingIn(matching, tree)) {
      if (left === 0) break
      left--
      waiting.set(requester, (waiting.get(requester) ?? 0) + 1)
    }
  }
  return waiting
}

/** Over as long as tasks were waiting all the time: before that, it was not the providers that set the pace. */
function paceOf({ grants }: Book, name: string, now: number): number | null {
  let busySince = Number.NEGATIVE_INFINITY
  let count = 0
  let from = now
  for (const { want, rule, at } of latestGrants(grants)) {
    // A second attempt beside a late one takes nothing from the queue.
    if (rule === 'late' || classOf(want) !== name) continue
    if (at < busySince || count === MOST_GRANTS) break
    const createdAt = parseTaskId(want.id)?.createdAt ?? at
    busySince = count === 0 ? createdAt : Math.min(busySince, createdAt)
    from = at
    count++
  }
  return count < LEAST_GRANTS ? null : (now - from) / count
}
