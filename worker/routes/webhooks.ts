import { Hono } from 'hono'
import { DomainError } from '#core/errors.ts'
import { CreateWebhook } from '#core/protocol.ts'
import { checkWebhookUrl } from '#core/webhook-url.ts'
import { networkOf } from '../env.ts'
import { type AuthEnv, scope } from '../middleware/auth.ts'
import { readBody } from '../middleware/body.ts'
import { unwrap } from '../outcome.ts'
import { newWebhookSecret } from '../webhook.ts'

export const webhooks = new Hono<AuthEnv>()
  .get('/', scope('tasks:read'), async (c) =>
    c.json({ webhooks: await networkOf(c.env).account(c.get('principal').address).webhooks() }),
  )
  .post('/', scope('tasks:write'), async (c) => {
    const network = networkOf(c.env)
    const wanted = await readBody(c, CreateWebhook)
    const checked = checkWebhookUrl(wanted.url, network.isDevelopment)
    if ('fault' in checked) throw new DomainError('webhook_url_refused', { detail: checked.fault, pointer: '/url' })
    const secret = newWebhookSecret()
    const made = unwrap(await network.account(c.get('principal').address).makeWebhook(checked.url, secret))
    return c.json({ ...made, secret }, 201)
  })
  .delete('/:id', scope('tasks:write'), async (c) => {
    const removed = await networkOf(c.env).account(c.get('principal').address).removeWebhook(c.req.param('id'))
    if (!removed) throw new DomainError('webhook_not_found')
    return c.body(null, 204)
  })
  .get('/:id/deliveries', scope('tasks:read'), async (c) => {
    const account = networkOf(c.env).account(c.get('principal').address)
    const deliveries = await account.deliveries(c.req.param('id'), c.req.query('before'))
    if (deliveries === null) throw new DomainError('webhook_not_found')
    return c.json({ deliveries })
  })
