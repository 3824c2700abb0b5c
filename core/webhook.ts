/** Webhooks: what is told when a task has ended, and when it is tried again. The form is that of Standard Webhooks. */
import * as z from 'zod'
import { isEnded, TaskView } from './protocol/task.ts'
import { WebhookEvent } from './protocol/webhook.ts'

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

/** The headers of a message, as Standard Webhooks names them. */
export const WebhookHeaders = z.object({
  'webhook-id': z.string().describe('The same at each attempt, so that what came before can be told.'),
  'webhook-timestamp': z.string().describe('When this attempt was made, in seconds since 1970.'),
  'webhook-signature': z.string().describe('`v1,` and the HMAC-SHA256 of `<id>.<timestamp>.<body>`, in base64.'),
})

/** The body of a message, the same at each attempt. */
export const WebhookMessage = z
  .object({
    type: WebhookEvent,
    timestamp: z.iso.datetime().describe('When the task ended.'),
    data: TaskView,
  })
  .meta({ id: 'WebhookMessage' })

export function webhookBody(task: TaskView): string {
  const message: z.output<typeof WebhookMessage> = {
    type: webhookEvent(task),
    timestamp: new Date(task.finishedAt!).toISOString(),
    data: task,
  }
  return JSON.stringify(message)
}
