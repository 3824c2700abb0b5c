import { Hono } from 'hono'
import * as z from 'zod'
import { DomainError } from '#core/errors.ts'
import { CreateWebhook, DeliveryView, WebhookView } from '#core/protocol/webhook.ts'
import { checkWebhookUrl } from '#core/webhook-url.ts'
import { type Env, networkOf } from '../env.ts'
import { operation } from '../middleware/operation.ts'
import { unwrap } from '../outcome.ts'
import { newWebhookSecret } from '../webhook.ts'

export const webhooks = new Hono<{ Bindings: Env }>()
  .get(
    '/',
    operation({
      summary: 'List the webhooks',
      access: 'tasks:read',
      answers: { 200: z.object({ webhooks: z.array(WebhookView) }) },
    }),
    async (c) => c.json({ webhooks: await networkOf(c.env).account(c.get('principal').address).webhooks() }),
  )
  .post(
    '/',
    operation({
      summary: 'Register an endpoint that is told when tasks have ended',
      details: '`secret`, with which its messages are signed, is shown this once.',
      access: 'tasks:write',
      body: CreateWebhook,
      examples: { endpoint: { url: 'https://hooks.example/daicn' } },
      answers: { 201: WebhookView.extend({ secret: z.string() }) },
      errors: ['webhook_url_refused', 'webhook_limit'],
    }),
    async (c) => {
      const network = networkOf(c.env)
      const checked = checkWebhookUrl(c.req.valid('json').url, network.isDevelopment)
      if ('fault' in checked) throw new DomainError('webhook_url_refused', { detail: checked.fault, pointer: '/url' })
      const secret = newWebhookSecret()
      const made = unwrap(await network.account(c.get('principal').address).makeWebhook(checked.url, secret))
      return c.json({ ...made, secret }, 201)
    },
  )
  .delete(
    '/:id',
    operation({
      summary: 'Remove a webhook',
      access: 'tasks:write',
      answers: { 204: null },
      errors: ['webhook_not_found'],
    }),
    async (c) => {
      const removed = await networkOf(c.env).account(c.get('principal').address).removeWebhook(c.req.param('id'))
      if (!removed) throw new DomainError('webhook_not_found')
      return c.body(null, 204)
    },
  )
  .get(
    '/:id/deliveries',
    operation({
      summary: 'What a webhook was told, of the latest task first',
      access: 'tasks:read',
      query: z.object({ before: z.string().optional().describe('The id of a task; go on with those before it.') }),
      answers: { 200: z.object({ deliveries: z.array(DeliveryView) }) },
      errors: ['webhook_not_found'],
    }),
    async (c) => {
      const account = networkOf(c.env).account(c.get('principal').address)
      const deliveries = await account.deliveries(c.req.param('id'), c.req.valid('query').before)
      if (deliveries === null) throw new DomainError('webhook_not_found')
      return c.json({ deliveries })
    },
  )
