import type { TaskSummary } from '#core/protocol/network.ts'
import { isOf, matchesQuery, summaryOfRecord, type TaskList, type TaskListQuery, type Whose } from '#core/task-list.ts'
import type { Network } from './env.ts'

/** Pages of the history that one answer looks at, at most: each holds up to 250 tasks. */
const PAGES = 20
/** With so many found, an answer is long enough. */
const ENOUGH = 50

/** Somebody's tasks: at first what the markets still have, then the history, a few of its pages at a time. */
export async function listTasks(
  { everywhere, history }: Network,
  whose: Whose,
  query: TaskListQuery,
): Promise<TaskList> {
  const live = query.before === undefined ? await everywhere((market) => market.liveTasks(whose)) : []
  const found = new Map<string, TaskSummary>(live.flat().map((task) => [task.id, task]))
  // Asked after the markets: what was handed over meanwhile is then in both, and counts once.
  const pages = await history.readPagesOf(whose, query.before, PAGES)
  let next: number | null = null
  for (const [i, { number, tasks }] of pages.entries()) {
    for (const task of tasks) {
      if (!isOf(whose, task)) continue
      found.set(task.id, summaryOfRecord(task))
    }
    const isLast = i === pages.length - 1
    if (found.size >= ENOUGH && !isLast) {
      next = number
      break
    }
    if (isLast && pages.length === PAGES) next = number
  }
  const tasks = [...found.values()].filter((task) => matchesQuery(query, task))
  return {
    tasks: tasks.sort((x, y) => y.createdAt - x.createdAt || (x.id < y.id ? 1 : -1)),
    next: next === null ? null : String(next),
  }
}
