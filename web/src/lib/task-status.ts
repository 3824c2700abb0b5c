import type { TaskStatus } from '#core/protocol/task.ts'

/** In the order of a task's life; the same as TASK_STATUSES (a test holds them together), without shipping the schemas. */
export const STATUSES: { status: TaskStatus; label: string; meaning: string }[] = [
  { status: 'queued', label: 'Queued', meaning: 'waiting for a provider' },
  { status: 'leased', label: 'Leased', meaning: 'granted, not begun' },
  { status: 'running', label: 'Running', meaning: 'at work' },
  { status: 'verifying', label: 'Verifying', meaning: 'held against other results' },
  { status: 'succeeded', label: 'Succeeded', meaning: 'delivered and paid' },
  { status: 'failed', label: 'Failed', meaning: 'no attempt delivered' },
  { status: 'cancelled', label: 'Cancelled', meaning: 'stopped by requester' },
  { status: 'expired', label: 'Expired', meaning: 'deadline passed' },
]

const LABELS = new Map<string, string>(STATUSES.map(({ status, label }) => [status, label]))

/** A status this version does not know is shown as the edge names it. */
export const statusLabel = (status: string): string => LABELS.get(status) ?? status
