/** Calls that an object holds open until something happens or their time is over. Kept in memory: they end with the object. */
import type { Address } from '#core/protocol.ts'
import type { Task } from '#core/task.ts'

type Ended = (task: Task) => void
export type Waiters = { polls: Map<Address, () => void>; tasks: Map<string, Ended[]> }

export const createWaiters = (): Waiters => ({ polls: new Map(), tasks: new Map() })

/** Resolves with those of the tasks that ended: when all have, or after `ms`. */
export function untilEnded({ tasks }: Waiters, ids: string[], ms: number): Promise<Map<string, Task>> {
  return new Promise((resolve) => {
    const over = new Map<string, Task>()
    const ended: Ended = (task) => {
      over.set(task.spec.id, task)
      if (over.size < ids.length) return
      clearTimeout(timer)
      resolve(over)
    }
    const timer = setTimeout(() => {
      for (const id of ids) drop(tasks, id, ended)
      resolve(over)
    }, ms)
    for (const id of ids) tasks.set(id, [...(tasks.get(id) ?? []), ended])
  })
}

export function taskEnded({ tasks }: Waiters, task: Task): void {
  const waiting = tasks.get(task.spec.id)
  if (!waiting) return
  tasks.delete(task.spec.id)
  for (const ended of waiting) ended(task)
}

/** Resolves when the provider is called, or after `ms`. A second wait of the same provider ends the first. */
export function untilCalled({ polls }: Waiters, provider: Address, ms: number): Promise<void> {
  polls.get(provider)?.()
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      if (polls.get(provider) === end) polls.delete(provider)
      resolve()
    }
    const timer = setTimeout(end, ms)
    polls.set(provider, end)
  })
}

function drop(tasks: Waiters['tasks'], id: string, ended: Ended): void {
  const left = (tasks.get(id) ?? []).filter((other) => other !== ended)
  if (left.length > 0) tasks.set(id, left)
  else tasks.delete(id)
}
