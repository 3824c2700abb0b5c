/**
 * Calls that an object holds open until something happens or their time is over. Kept in memory: they end with the object.
 * One slow clock serves them all, for a timer of its own would cost each call more than the rest of its waiting.
 */
import type { Address } from '#core/protocol.ts'
import type { Task } from '#core/task.ts'

const CLOCK_MS = 500

type TaskWait = { until: number; left: number; ended: Map<string, Task>; resolve: () => void }
type PollWait = { until: number; resolve: () => void }

export type Waiters = {
  polls: Map<Address, PollWait>
  tasks: Map<string, TaskWait[]>
  waits: Set<TaskWait>
  ticking: boolean
}

export const createWaiters = (): Waiters => ({ polls: new Map(), tasks: new Map(), waits: new Set(), ticking: false })

/** Resolves with those of the tasks that ended: when all have, or about when `until` has come. */
export async function untilEnded(waiters: Waiters, ids: string[], until: number): Promise<Map<string, Task>> {
  const ended = new Map<string, Task>()
  await new Promise<void>((resolve) => {
    const wait: TaskWait = { until, left: ids.length, ended, resolve }
    waiters.waits.add(wait)
    for (const id of ids) {
      const others = waiters.tasks.get(id)
      if (others) others.push(wait)
      else waiters.tasks.set(id, [wait])
    }
    tick(waiters)
  })
  return ended
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

/** Resolves when the provider is called, or about when `until` has come. Its next wait ends this one. */
export function untilCalled(waiters: Waiters, provider: Address, until: number): Promise<void> {
  call(waiters, provider)
  return new Promise((resolve) => {
    waiters.polls.set(provider, { until, resolve })
    tick(waiters)
  })
}

/** Ends the wait of a provider; false when it does not wait. */
export function call({ polls }: Waiters, provider: Address): boolean {
  const wait = polls.get(provider)
  if (!wait) return false
  polls.delete(provider)
  wait.resolve()
  return true
}

function end(waiters: Waiters, wait: TaskWait): void {
  waiters.waits.delete(wait)
  wait.resolve()
}

function tick(waiters: Waiters): void {
  if (waiters.ticking || (waiters.waits.size === 0 && waiters.polls.size === 0)) return
  waiters.ticking = true
  setTimeout(() => {
    waiters.ticking = false
    const now = Date.now()
    for (const wait of waiters.waits) if (wait.until <= now) end(waiters, wait)
    for (const [provider, { until }] of waiters.polls) if (until <= now) call(waiters, provider)
    for (const [id, waiting] of waiters.tasks) {
      if (!waiting.some((wait) => waiters.waits.has(wait))) waiters.tasks.delete(id)
    }
    tick(waiters)
  }, CLOCK_MS)
}
