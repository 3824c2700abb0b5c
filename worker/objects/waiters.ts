/**
 * Calls that an object holds open until something happens or their time is over. Kept in memory: they end with the object.
 * One slow clock serves them all, for a timer of its own would cost each call more than the rest of its waiting.
 */
import type { Address } from '#core/protocol/values.ts'
import type { Task } from '#core/task.ts'

const CLOCK_MS = 500

type TaskWait = { until: number; left: number; ended: Map<string, Task>; done: (ended: Map<string, Task>) => void }
type PollWait = { until: number; done: () => void }

export type Waiters = {
  polls: Map<Address, PollWait>
  tasks: Map<string, TaskWait[]>
  waits: Set<TaskWait>
  ticking: boolean
  /** Called when the clock has ended waits. */
  expired: () => void
}

export function createWaiters(expired: () => void): Waiters {
  return { polls: new Map(), tasks: new Map(), waits: new Set(), ticking: false, expired }
}

/** Calls `done` with those of the tasks that ended: when all have, or about when `until` has come. */
export function whenEnded(waiters: Waiters, ids: string[], until: number, done: TaskWait['done']): void {
  const wait: TaskWait = { until, left: ids.length, ended: new Map(), done }
  waiters.waits.add(wait)
  for (const id of ids) {
    const others = waiters.tasks.get(id)
    if (others) others.push(wait)
    else waiters.tasks.set(id, [wait])
  }
  tick(waiters)
}

export function taskEnded(waiters: Waiters, task: Task): void {
  const waiting = waiters.tasks.get(task.spec.id)
  if (!waiting) return
  waiters.tasks.delete(task.spec.id)
  for (const wait of waiting) {
    wait.ended.set(task.spec.id, task)
    if (--wait.left === 0) end(waiters, wait)
  }
}

/** Calls `done` when the provider is roused, or about when `until` has come. Its next wait ends this one. */
export function whenRoused(waiters: Waiters, provider: Address, until: number, done: () => void): void {
  rouse(waiters, provider)
  waiters.polls.set(provider, { until, done })
  tick(waiters)
}

/** Ends the wait of a provider; false when it does not wait. */
export function rouse({ polls }: Waiters, provider: Address): boolean {
  const wait = polls.get(provider)
  if (!wait) return false
  polls.delete(provider)
  wait.done()
  return true
}

function end(waiters: Waiters, wait: TaskWait): void {
  waiters.waits.delete(wait)
  wait.done(wait.ended)
}

function tick(waiters: Waiters): void {
  if (waiters.ticking || (waiters.waits.size === 0 && waiters.polls.size === 0)) return
  waiters.ticking = true
  setTimeout(() => {
    waiters.ticking = false
    const now = Date.now()
    for (const wait of waiters.waits) if (wait.until <= now) end(waiters, wait)
    for (const [provider, { until }] of waiters.polls) if (until <= now) rouse(waiters, provider)
    for (const [id, waiting] of waiters.tasks) {
      if (!waiting.some((wait) => waiters.waits.has(wait))) waiters.tasks.delete(id)
    }
    waiters.expired()
    tick(waiters)
  }, CLOCK_MS)
}
