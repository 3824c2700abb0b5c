import type { Book } from '#core/book.ts'
import { headOf, partsOf } from '#core/snapshot.ts'
import type { Attempt } from '#core/task.ts'

/**
 * What lasts of a book, ready to compare. Who is connected, how long leases run, whether work has begun, what was acknowledged
 * which purses nothing was ever drawn into, and which tasks are on pages are not part of it; all pages are read.
 */
export function durable(book: Book) {
  const providers = []
  const purses = []
  const outlooks = []
  const charges = []
  const tasks = []
  for (const part of partsOf(book)) {
    if (part.type === 'provider') {
      const { reachable, heardAt, revoked, credited, leases, ...kept } = part.provider
      const held = [...leases].map(([id, { seq, task, attempt }]) => ({ id, seq, task, attempt }))
      providers.push({ ...kept, leases: held })
    } else if (part.type === 'purse') {
      const { settled, ...kept } = part.purse
      if (kept.drawn > 0n) purses.push(kept)
    } else if (part.type === 'charge') charges.push(part)
    else if (part.type === 'outlook') outlooks.push(structuredClone(part))
  }
  for (const page of [...book.unread]) page.read()
  for (const { task, want, turn } of [...book.tasks.values()].sort((x, y) => x.want.seq - y.want.seq)) {
    const { spec, attempts, prefix, deliveries, state } = task
    const is = state.is === 'running' ? { ...state, is: 'leased' as const } : state
    tasks.push({
      spec,
      attempts: attempts.map(unstarted),
      prefix,
      deliveries,
      state: is,
      tag: want.tag,
      turn,
      avoid: avoided(book, spec.id),
    })
  }
  const { version: _, pages: __, ...head } = structuredClone(headOf(book))
  for (const task of head.stats.latest) if (task.status === 'running') task.status = 'leased'
  return { head, providers, purses: purses.sort((x, y) => (x.id < y.id ? -1 : 1)), charges, outlooks, tasks }
}

const unstarted = (attempt: Attempt): Attempt =>
  attempt.state.is === 'started' ? { ...attempt, state: { is: 'granted' } } : attempt

function avoided(book: Book, id: string) {
  const { task, want } = book.tasks.get(id)!
  return task.state.is === 'queued' ? { by: want.avoid, until: want.avoidUntil } : null
}
