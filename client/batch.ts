import { utf8Length } from '#core/pricing.ts'
import type { LIMITS } from '#core/protocol/values.ts'
import type { Connection } from './edge.ts'
import { awhile, leave, type NewTask, type Signal, type Task } from './task.ts'
import { submitPaid } from './wallet.ts'

export type BatchOptions = Signal & {
  /**
   * Names the batch. Run again under the same name and with the same tasks within 24 hours, it takes up the tasks that were
   * submitted before instead of paying for new ones.
   */
  name?: string
  /** Tasks whose end is known already, by their place in the batch; a request that holds no other is not sent. */
  isDone?: (index: number) => boolean
  /** Most tasks that are submitted and have not ended at once; 4,000 unless told. */
  open?: number
  onProgress?: (progress: BatchProgress) => void
}

export type BatchProgress = { submitted: number; ended: number; failed: number }
export type BatchResult = { index: number; task: Task }

type Chunk = { start: number; tasks: NewTask[] }
type Open = { index: number; id: string }
/** What was heard next: how a task stands, or whether there was one more request to send. */
type Heard = (Open & { task: Task }) | { more: boolean }

const CHUNK_TASKS: (typeof LIMITS)['batchTasks'] = 1000
/** Below what one request may hold, so that there is room for what is between the tasks. */
const CHUNK_BYTES = 7 * 1024 * 1024
/** Answers that the edge is asked to hold at once. */
const WAITS = 64
const OPEN_TASKS = 4000

/**
 * Submits any number of tasks, up to 1,000 in a request, and yields each as it ends, in whatever order and way. Aborting,
 * leaving the loop early, or a request that the edge refuses cancels what is still open.
 */
export async function* batch(
  connection: Connection,
  tasks: Iterable<NewTask> | AsyncIterable<NewTask>,
  options: BatchOptions = {},
): AsyncGenerator<BatchResult> {
  const { signal, name = crypto.randomUUID(), isDone = () => false, open: limit = OPEN_TASKS, onProgress } = options
  const chunks = chunksOf(tasks)
  const progress: BatchProgress = { submitted: 0, ended: 0, failed: 0 }
  /** Submitted, and not waited for at this moment. */
  const open: Open[] = []
  const waits = new Map<string, Promise<Heard>>()
  let submitting: Promise<Heard> | null = null
  let more = true

  async function submitNext(): Promise<Heard> {
    const { value: chunk, done } = await chunks.next()
    if (done) return { more: false }
    const wanted = chunk.tasks.flatMap((_, i) => (isDone(chunk.start + i) ? [] : [i]))
    if (wanted.length === 0) return { more: true }
    // Not broken off by the signal: only the answer names the tasks that are then to be cancelled.
    const headers = { 'idempotency-key': `${name}-${chunk.start}` }
    const { tasks } = await submitPaid<{ tasks: Task[] }>(connection, chunk.tasks, headers, undefined)
    for (const i of wanted) open.push({ index: chunk.start + i, id: tasks[i]!.id })
    progress.submitted += wanted.length
    onProgress?.({ ...progress })
    return { more: true }
  }

  function hold(one: Open): void {
    const answer = awhile(connection, one.id, { signal })
    waits.set(
      one.id,
      answer.then((task) => ({ ...one, task })),
    )
  }

  let isOver = false
  try {
    while (more || open.length + waits.size > 0) {
      signal?.throwIfAborted()
      if (more && open.length + waits.size < limit) submitting ??= submitNext()
      for (const one of open.splice(0, WAITS - waits.size)) hold(one)
      const heard = await Promise.race(submitting ? [submitting, ...waits.values()] : waits.values())
      if ('more' in heard) {
        submitting = null
        more = heard.more
        continue
      }
      const { index, id, task } = heard
      waits.delete(id)
      // Those that take long make room for others that may have ended meanwhile.
      if (task.finishedAt === undefined) open.push({ index, id })
      else {
        progress.ended++
        if (task.status !== 'succeeded') progress.failed++
        onProgress?.({ ...progress })
        yield { index, task }
      }
    }
    isOver = true
  } finally {
    if (!isOver) {
      await submitting?.catch(() => {})
      await leave(connection, [...waits.keys(), ...open.map(({ id }) => id)])
    }
  }
}

/** Cuts tasks into what one request may hold. */
async function* chunksOf(tasks: Iterable<NewTask> | AsyncIterable<NewTask>): AsyncGenerator<Chunk> {
  let chunk: Chunk = { start: 0, tasks: [] }
  let bytes = 0
  for await (const task of tasks) {
    const size = utf8Length(JSON.stringify(task)) + 1
    if (chunk.tasks.length === CHUNK_TASKS || (bytes + size > CHUNK_BYTES && bytes > 0)) {
      yield chunk
      chunk = { start: chunk.start + chunk.tasks.length, tasks: [] }
      bytes = 0
    }
    chunk.tasks.push(task)
    bytes += size
  }
  if (chunk.tasks.length > 0) yield chunk
}
