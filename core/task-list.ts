/** Tasks in a list: which of them are asked for, and those that a market still has of somebody. */
import * as z from 'zod'
import type { Book } from './book.ts'
import { TaskSummary } from './protocol/network.ts'
import { TaskStatus } from './protocol/task.ts'
import type { Address } from './protocol/values.ts'
import { Kind } from './protocol/work.ts'
import type { TaskRecord } from './public-log.ts'
import { summaryOf } from './stats.ts'
import type { Task } from './task.ts'

const Cursor = z
  .string()
  .regex(/^\d{1,15}$/, 'must be a `next` of an earlier answer')
  .transform(Number)

export const TaskListQuery = z.object({
  status: TaskStatus.optional(),
  kind: Kind.optional(),
  model: z.string().min(1).max(200).optional(),
  before: Cursor.optional().describe('`next` of the answer before.'),
})
export type TaskListQuery = z.output<typeof TaskListQuery>

export const TaskList = z
  .object({
    tasks: z.array(TaskSummary).describe('The latest first; those that have not ended are in the first answer.'),
    next: z
      .string()
      .nullable()
      .describe('Ask again with it as `before` for what was earlier; null at the end. An answer may hold few or none.'),
  })
  .meta({ id: 'TaskList' })
export type TaskList = z.output<typeof TaskList>

/** Whose tasks: those that somebody asked for, or those that somebody ran. */
export type Whose = { by: 'requester' | 'provider'; address: Address }

export const isOf = ({ by, address }: Whose, task: { requester: Address; provider?: Address }): boolean =>
  task[by] === address

/** True when a task is one of those that a query asks for. */
export const matchesQuery = ({ status, kind, model }: TaskListQuery, task: TaskSummary): boolean =>
  (status === undefined || task.status === status) &&
  (kind === undefined || task.kind === kind) &&
  (model === undefined || task.model === model)

/** The open tasks of a market and those that ended a moment ago. One look at each: for lists, never on the path of a task. */
export function liveSummaries(book: Book, whose: Whose): TaskSummary[] {
  const found: TaskSummary[] = []
  const look = (task: Task) => {
    const summary = summaryOf(task)
    if (isOf(whose, { requester: task.spec.requester, ...summary })) found.push(summary)
  }
  // What waits unread was run by nobody.
  for (const page of [...book.unread]) {
    if (whose.by === 'requester' && page.entry.requesters.some(({ requester }) => requester === whose.address))
      page.read()
  }
  for (const { task } of book.tasks.values()) look(task)
  for (const task of book.ended.values()) look(task)
  return found
}

/** A record of the public log as it stands in a list. */
export function summaryOfRecord({
  id,
  kind,
  model,
  status,
  createdAt,
  provider,
  price,
  waitMs,
  runMs,
}: TaskRecord): TaskSummary {
  return {
    id,
    kind,
    model,
    status,
    createdAt,
    ...(provider && { provider }),
    ...(price !== undefined && { price }),
    ...(waitMs !== undefined && { waitMs }),
    ...(runMs !== undefined && { runMs }),
  }
}
