import { Hono } from 'hono'
import { SubmitTask } from '#core/protocol.ts'
import { toRequest } from '#core/request.ts'
import { networkOf } from '../env.ts'
import { type AuthEnv, scope } from '../middleware/auth.ts'
import { readBody } from '../middleware/body.ts'

export const quote = new Hono<AuthEnv>().post('/', scope('tasks:write'), async (c) => {
  const request = toRequest(await readBody(c, SubmitTask))
  return c.json(await networkOf(c.env).market().quote(c.get('principal').address, request))
})
