import { Hono } from 'hono'
import { CreateBatch } from '#core/batch.ts'
import { DomainError } from '#core/errors.ts'
import { networkOf } from '../../env.ts'
import { type AuthEnv, scope } from '../../middleware/auth.ts'
import { readBody } from '../../middleware/body.ts'
import { unwrap } from '../../outcome.ts'
import { pageOf } from './page.ts'

export const batches = new Hono<AuthEnv>()
  .post('/', scope('tasks:write'), async (c) => {
    const wanted = await readBody(c, CreateBatch)
    const { address, key } = c.get('principal')
    return c.json(unwrap(await networkOf(c.env).library(address).createBatch(key, wanted)))
  })
  .get('/', scope('tasks:read'), async (c) => {
    return c.json(pageOf(c, await networkOf(c.env).library(c.get('principal').address).batches()))
  })
  .get('/:id', scope('tasks:read'), async (c) => {
    const batch = await networkOf(c.env).library(c.get('principal').address).batch(c.req.param('id'))
    if (!batch) throw new DomainError('batch_not_found')
    return c.json(batch)
  })
  .post('/:id/cancel', scope('tasks:write'), async (c) => {
    return c.json(unwrap(await networkOf(c.env).library(c.get('principal').address).cancelBatch(c.req.param('id'))))
  })
