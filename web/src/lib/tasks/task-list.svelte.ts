import { type Connection, insist } from '#client/edge.ts'
import type { TaskSummary } from '#core/protocol/network.ts'
import type { TaskList } from '#core/task-list.ts'

/** A list of tasks as the edge gives it, answer by answer. */
export function createTaskList(path: string) {
  let tasks = $state.raw<TaskSummary[] | null>(null)
  let next = $state<string | null>(null)
  let busy = $state(false)
  let error = $state.raw<unknown>(null)
  /** Answers to what was asked before something else was are not wanted any more. */
  let asked = 0

  async function ask(connection: Connection, query: Record<string, string>, before: string | null) {
    const mine = ++asked
    busy = true
    const given = Object.entries({ ...query, before: before ?? '' }).filter(([, value]) => value !== '')
    const search = new URLSearchParams(given).toString()
    try {
      const answer = await insist<TaskList>(connection, 'GET', search ? `${path}?${search}` : path)
      if (mine !== asked) return null
      error = null
      return answer
    } catch (thrown) {
      if (mine === asked) error = thrown
      return null
    } finally {
      if (mine === asked) busy = false
    }
  }

  return {
    /** Null before the first answer. */
    get tasks() {
      return tasks
    },
    get hasMore() {
      return next !== null
    },
    get busy() {
      return busy
    },
    get error() {
      return error
    },
    /** Begins again with the latest. */
    async load(connection: Connection, query: Record<string, string> = {}) {
      const answer = await ask(connection, query, null)
      if (!answer) return
      tasks = answer.tasks
      next = answer.next
    },
    /** Looks again at the latest, and keeps what was found before them. */
    async refresh(connection: Connection, query: Record<string, string> = {}) {
      const answer = await ask(connection, query, null)
      if (!answer) return
      const latest = new Set(answer.tasks.map(({ id }) => id))
      tasks = [...answer.tasks, ...(tasks ?? []).filter(({ id }) => !latest.has(id))]
    },
    async more(connection: Connection, query: Record<string, string> = {}) {
      const answer = await ask(connection, query, next)
      if (!answer) return
      const known = new Set(tasks?.map(({ id }) => id))
      tasks = [...(tasks ?? []), ...answer.tasks.filter(({ id }) => !known.has(id))]
      next = answer.next
    },
  }
}
