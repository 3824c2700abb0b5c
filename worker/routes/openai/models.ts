import { Hono } from 'hono'
import { DomainError } from '#core/errors.ts'
import { networkOf } from '../../env.ts'
import type { AuthEnv } from '../../middleware/auth.ts'

export const models = new Hono<AuthEnv>()
  .get('/', async (c) => c.json({ object: 'list', data: await networkOf(c.env).market().models() }))
  // A model's name may hold slashes, which not every client encodes.
  .get('/:id{.+}', async (c) => {
    const id = c.req.param('id')
    const model = (await networkOf(c.env).market().models()).find((one) => one.id === id)
    if (!model) throw new DomainError('unknown_model', { detail: `no provider has offered "${id}"`, pointer: '/model' })
    return c.json(model)
  })
