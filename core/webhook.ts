/** Webhooks: what is told when a task has ended, and when it is tried again. The form is that of Standard Webhooks. */
import { isEnded, type TaskView, type WebhookEvent } from './protocol.ts'

/** Waits before the further attempts of a delivery. The last comes within 18 hours, while outputs are still kept. */
const RETRY_SECONDS = [5, 60, 300, 1800, 7200, 18_000, 36_000]

/** How long delivered and abandoned deliveries stay in the log. */
export const DELIVERY_LOG_MS = 72 * 3_600_000

/** Milliseconds until the next attempt after `attempts` that failed, up to a tenth more by chance; null when there is none. */
export function retryAfterMs(attempts: number, random: number): number | null {
  const seconds = RETRY_SECONDS[attempts - 1]
  return seconds === undefined ? null : Math.round(seconds * 1000 * (1 + random / 10))
}

/** The same at each attempt, so that receivers can tell what they had already: a task ends once. */
export const messageId = (task: string): string => `msg_${task}`

export function webhookEvent(task: TaskView): WebhookEvent {
  const { status } = task
  if (!isEnded(status)) throw new Error(`task ${task.id} is ${status}`)
  return `task.${status}` as WebhookEvent
}

/** The body of a message, the same at each attempt. */
export function webhookBody(task: TaskView): string {
  return JSON.stringify({
    type: webhookEvent(task),
    timestamp: new Date(task.finishedAt!).toISOString(),
    data: task,
  })
}
