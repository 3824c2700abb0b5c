/**
 * What this isolate has used of what the platform bills, counted in memory where it is used. An isolate tells its totals to the market,
 * which adds them up: at most once a minute, when it has done something.
 */
import { type IsolateUsage, noUsage, PARTS, type Part, type Usage } from '#core/cost.ts'
import type { Env } from './env.ts'

const TELL_MS = 60_000

export const used = Object.fromEntries(PARTS.map((part) => [part, noUsage()])) as Record<Part, Usage>

const isolate = { id: '', startedAt: 0, toldAt: 0, tasks: 0 }

/** Objects that wait for something now, and since when that was not counted. */
const awake = new Map<object, { usage: Usage; since: number; waits: number }>()

/** Totals since the isolate began. */
export function usageOfIsolate(now: number): { id: string; usage: IsolateUsage } {
  for (const one of awake.values()) {
    one.usage.awakeMs += now - one.since
    one.since = now
  }
  // Not before it is asked: the platform has neither a clock nor randomness while a Worker is loaded.
  if (isolate.id === '') Object.assign(isolate, { id: crypto.randomUUID(), startedAt: now })
  return { id: isolate.id, usage: { startedAt: isolate.startedAt, tasks: isolate.tasks, parts: used } }
}

export function countEnded(tasks: number): void {
  isolate.tasks += tasks
}

/** The rows of a query, counted. */
export function rowsOf<T extends Record<string, SqlStorageValue>>(cursor: SqlStorageCursor<T>, usage: Usage): T[] {
  const rows = cursor.toArray()
  usage.rowsRead += cursor.rowsRead
  return rows
}

/** What is to be told now, or null. For whenever this isolate was asked for something. */
export function usageToTell(now: number): { id: string; usage: IsolateUsage } | null {
  if (isolate.id !== '' && now - isolate.toldAt < TELL_MS) return null
  const isNew = isolate.id === ''
  const told = usageOfIsolate(now)
  isolate.toldAt = now
  return isNew ? null : told
}

/** An object as its callers see it; their calls are counted. */
export function counted<T extends object>(remote: T, usage: Usage): T {
  return new Proxy(remote, {
    get(target, name) {
      usage.requests++
      // biome-ignore lint/suspicious/noExplicitAny: a stub has whatever is asked of it
      return (...args: unknown[]) => (target as any)[name](...args)
    },
  })
}

/** Calls of objects' methods that have not returned: one method that calls another is one call. */
let inside = 0

/** A class of objects of which the messages and alarms are counted, and how long its methods keep an object awake. */
// biome-ignore lint/suspicious/noExplicitAny: what a class's constructor takes is its own affair
export function metered<T extends new (...args: any[]) => object>(part: Part, of: T, tell: (env: Env) => void): T {
  const usage = used[part]
  const Metered = class extends of {}
  for (const [name, { value: method }] of Object.entries(Object.getOwnPropertyDescriptors(of.prototype))) {
    if (name === 'constructor') continue
    Object.defineProperty(Metered.prototype, name, {
      value(this: { env: Env }, ...args: unknown[]) {
        if (name === 'webSocketMessage') usage.messages++
        if (name === 'alarm') usage.alarms++
        if (inside === 0) tell(this.env)
        inside++
        try {
          const result = method.apply(this, args)
          return result instanceof Promise ? keepAwake(this, usage, result) : result
        } finally {
          inside--
        }
      },
    })
  }
  return Metered
}

async function keepAwake<T>(object: object, usage: Usage, work: Promise<T>): Promise<T> {
  const one = awake.get(object) ?? { usage, since: Date.now(), waits: 0 }
  one.waits++
  awake.set(object, one)
  try {
    return await work
  } finally {
    if (--one.waits === 0) {
      usage.awakeMs += Date.now() - one.since
      awake.delete(object)
    }
  }
}
