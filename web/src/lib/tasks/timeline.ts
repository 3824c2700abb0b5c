/** What happened to a task, one line after the other. Pure. */
import type { AttemptView, TaskView } from '#core/protocol/task.ts'

export type Moment = {
  key: string
  what: string
  /** Unix milliseconds; null is not known. */
  at: number | null
  /** Milliseconds since the moment before. */
  after: number | null
  tone: 'plain' | 'good' | 'bad'
  provider?: string
  /** What is there to say of it. */
  note?: string
}

const ENDS: Record<AttemptView['state'], { what: string; tone: Moment['tone'] } | null> = {
  granted: null,
  started: null,
  delivered: { what: 'delivered, and others must agree', tone: 'plain' },
  succeeded: { what: 'delivered', tone: 'good' },
  refuted: { what: 'refuted: others agreed on another result', tone: 'bad' },
  failed: { what: 'failed', tone: 'bad' },
  lost: { what: 'lost: its provider was not heard of any more', tone: 'bad' },
  superseded: { what: 'not needed any more', tone: 'plain' },
}

export function timelineOf(task: TaskView): Moment[] {
  const moments: Omit<Moment, 'after'>[] = [{ key: 'submitted', what: 'Submitted', at: task.createdAt, tone: 'plain' }]
  for (const { number, provider, state, grantedAt, startedAt, endedAt, error } of task.attempts) {
    const name = task.attempts.length > 1 ? `Attempt ${number}` : 'The attempt'
    moments.push({ key: `${number} granted`, what: 'Given to', at: grantedAt, tone: 'plain', provider })
    if (startedAt !== undefined)
      moments.push({ key: `${number} started`, what: 'Started', at: startedAt, tone: 'plain' })
    const end = ENDS[state]
    if (end) {
      const note = error && `${error.code}: ${error.message}`
      const moment = { key: `${number} ended`, what: `${name} ${end.what}`, at: endedAt ?? null, tone: end.tone }
      moments.push(note === undefined ? moment : { ...moment, note })
    }
  }
  const end = ended(task)
  if (end) moments.push(end)
  return moments.map((moment, i) => {
    const before = moments[i - 1]?.at ?? null
    return { ...moment, after: before === null || moment.at === null ? null : Math.max(0, moment.at - before) }
  })
}

function ended({ status, finishedAt, error, attempts }: TaskView): Omit<Moment, 'after'> | null {
  const at = finishedAt ?? null
  switch (status) {
    case 'succeeded':
      return { key: 'ended', what: 'Accepted and paid', at, tone: 'good' }
    case 'cancelled':
      return { key: 'ended', what: 'Cancelled', at, tone: 'plain' }
    case 'expired':
      return { key: 'ended', what: 'Deadline passed', at, tone: 'bad' }
    case 'failed': {
      const said = attempts.some((attempt) => attempt.error?.message === error?.message)
      const end = { key: 'ended', what: 'Failed for good', at, tone: 'bad' } as const
      return error && !said ? { ...end, note: `${error.code}: ${error.message}` } : end
    }
    default:
      return null
  }
}
