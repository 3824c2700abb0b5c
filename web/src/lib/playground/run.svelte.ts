/** One piece of work, from its submission to its end, as a page shows it. */
import { connect } from '#client/daicn.ts'
import type { Connection } from '#client/edge.ts'
import type { NewTask } from '#client/task.ts'
import type { TaskStatus, TaskView } from '#core/protocol/task.ts'
import type { Kind } from '#core/protocol/work.ts'

export type Run = ReturnType<typeof createRun>

/** Milliseconds are by this machine's clock, from the moment of submitting. */
export function createRun() {
  let status = $state<TaskStatus | 'unsent'>('unsent')
  let text = $state('')
  let provider = $state<string>()
  let firstMs = $state<number>()
  let totalMs = $state<number>()
  let task = $state.raw<TaskView | null>(null)
  let error = $state.raw<unknown>(null)
  let stop = $state.raw<AbortController | null>(null)

  async function start<K extends Kind>(connection: Connection, work: NewTask<K>) {
    const mine = new AbortController()
    stop = mine
    const from = performance.now()
    const elapsed = () => performance.now() - from
    try {
      for await (const event of connect(connection).stream(work, { signal: mine.signal })) {
        if (event.type === 'output') {
          firstMs ??= elapsed()
          // A later attempt goes on where the last one ended.
          text = text.slice(0, event.offset) + event.delta
        } else if (event.type === 'status') {
          status = event.status
          provider = event.provider ?? provider
        } else {
          task = event.task
          status = event.task.status
          provider = event.task.provider ?? provider
        }
      }
    } catch (thrown) {
      if (mine.signal.aborted) status = 'cancelled'
      else error = thrown
    }
    totalMs = elapsed()
    stop = null
  }

  return {
    get status() {
      return status
    },
    /** What was written so far of the work that is text. */
    get text() {
      return text
    },
    get provider() {
      return provider
    },
    get firstMs() {
      return firstMs
    },
    get totalMs() {
      return totalMs
    },
    /** Once it has ended. */
    get task() {
      return task
    },
    get error() {
      return error
    },
    get busy() {
      return stop !== null
    },
    start,
    /** Cancels it; what was delivered stays, and is paid. */
    stop: () => stop?.abort(),
  }
}
