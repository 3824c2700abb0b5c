/** Webhooks and their deliveries. */
import * as z from 'zod'
import { Count, Time } from './values.ts'

export const CreateWebhook = z
  .strictObject({
    url: z
      .string()
      .max(2048)
      .describe('Where messages are sent; https, and an address that is public, except on development networks.'),
  })
  .meta({ id: 'CreateWebhook' })

export const WebhookView = z
  .object({
    id: z.string(),
    url: z.string(),
    createdAt: Time,
    disabledAt: Time.exactOptional().describe('When it answered 410 Gone, after which nothing is sent to it.'),
  })
  .meta({ id: 'WebhookView' })
export type WebhookView = z.output<typeof WebhookView>

export const WebhookEvent = z.enum(['task.succeeded', 'task.failed', 'task.cancelled', 'task.expired'])
export type WebhookEvent = z.output<typeof WebhookEvent>

export const DeliveryView = z
  .object({
    id: z.string().describe('The `webhook-id` of all its attempts.'),
    event: WebhookEvent,
    task: z.string(),
    state: z.enum(['pending', 'delivered', 'failed']),
    createdAt: Time,
    attempts: Count,
    nextAttemptAt: Time.exactOptional(),
    status: z.int().exactOptional().describe('HTTP status of the last attempt.'),
    failure: z.string().exactOptional().describe('Why it had none.'),
  })
  .meta({ id: 'DeliveryView' })
export type DeliveryView = z.output<typeof DeliveryView>
