import { connect } from '#client/daicn.ts'
import type { Connection } from '#client/edge.ts'
import type { TaskView } from '#core/protocol/task.ts'
import type { OutputOf } from '#core/protocol/work.ts'

/** One task as it goes on, its text as it is written. */
export function createWatchedTask() {
  let task = $state.raw<TaskView | null>(null)
  let text = $state('')
  let error = $state.raw<unknown>(null)
  let following = $state.raw<AbortController | null>(null)

  async function follow(connection: Connection, id: string) {
    following?.abort()
    const mine = new AbortController()
    const { signal } = mine
    following = mine
    task = null
    text = ''
    error = null
    const daicn = connect(connection)
    try {
      const found = (await daicn.task(id, { signal })) as TaskView
      task = found
      if (found.finishedAt !== undefined) text = textOf(found)
      else {
        for await (const event of daicn.watch(id, { signal })) {
          if (event.type === 'output') text = text.slice(0, event.offset) + event.delta
          else if (event.type === 'done') task = event.task
          // The event names the change; the task itself has the whole of it.
          else task = (await daicn.task(id, { signal })) as TaskView
        }
        text ||= textOf(task)
      }
    } catch (thrown) {
      if (!signal.aborted) error = thrown
    }
    if (following === mine) following = null
  }

  return {
    get task() {
      return task
    },
    get text() {
      return text
    },
    get error() {
      return error
    },
    /** True while there is more to come. */
    get isLive() {
      return following !== null && task !== null
    },
    follow,
    stop: () => following?.abort(),
  }
}

/** What of an output is there to be read. */
function textOf({ kind, output }: TaskView): string {
  if (output === undefined) return ''
  if (kind === 'llm.chat') return (output as OutputOf<'llm.chat'>).content ?? ''
  return kind === 'doc.ocr' ? (output as OutputOf<'doc.ocr'>).text : ''
}
