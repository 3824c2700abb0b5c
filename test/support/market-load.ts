/** Submitters that keep a market busy, and the look back at all that became of it. */

import { call } from '../../client/edge.ts'
import type { TaskView } from '../../core/protocol/task.ts'
import { type Member, readTask, unlessDown, type World } from './fault-world.ts'
import type { Progress } from './progress.ts'

export type LoadPlan = {
  model: string
  /** Acknowledged tasks in all. */
  tasks: number
  /** Submitters hold back when so many acknowledged tasks are open, so that submits go on until the end. */
  open: number
  progress: Progress
}

/** Names its submitter, so that a provider can tell who is to be asked about a task that nobody was told of. */
const inputOf = (submitter: number) => ({ messages: [{ role: 'user', content: String(submitter) }], max_tokens: 64 })

export const submitterOf = (input: Record<string, unknown>): number =>
  Number((input as ReturnType<typeof inputOf>).messages[0]!.content)

/** Submits until there are enough; what was not answered does not count. @returns how many answers were lost */
export async function submitAlong(
  world: World,
  requester: Member,
  { model, tasks, open, progress }: LoadPlan,
  batch: number,
): Promise<number> {
  const submitter = world.requesters.indexOf(requester)
  const { acknowledged, ended } = progress
  const task = { kind: 'llm.chat', model, input: inputOf(submitter), maxAttempts: 10 }
  let lost = 0
  while (acknowledged.size < tasks) {
    await progress.until(() => acknowledged.size - ended.size < open || acknowledged.size >= tasks)
    const wanted = Math.min(batch, tasks - acknowledged.size)
    if (wanted <= 0) break
    progress.sent(1)
    const answer = await unlessDown(world, async () => {
      if (batch === 1) return [await call<TaskView>(requester.caller, 'POST', '/v1/tasks', { body: task })]
      const body = Array.from({ length: wanted }, () => task)
      return (await call<{ tasks: TaskView[] }>(requester.caller, 'POST', '/v1/tasks', { body })).tasks
    })
    progress.sent(-1)
    if (!answer) lost++
    for (const { id } of answer ?? []) progress.acknowledge(id, submitter)
  }
  return lost
}

/** Reads tasks through the API, a few at a time, each when it has ended. @returns them in the given order */
export async function readEnded(world: World, tasks: Iterable<[id: string, submitter: number]>): Promise<TaskView[]> {
  const wanted = [...tasks]
  const left = [...wanted.entries()]
  const views: TaskView[] = []
  const reader = async () => {
    for (let next = left.shift(); next; next = left.shift()) {
      const [index, [id, submitter]] = next
      const requester = world.requesters[submitter]!
      const view = await readTask(requester, id, 25)
      views[index] = view.finishedAt === undefined ? await readTask(requester, id, 25) : view
    }
  }
  await Promise.all(Array.from({ length: 16 }, reader))
  return views
}
