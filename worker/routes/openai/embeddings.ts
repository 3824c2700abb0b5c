import { Hono } from 'hono'
import { EmbeddingsRequest, embeddingList, embeddingTasks, withoutNulls } from '#core/openai.ts'
import { networkOf } from '../../env.ts'
import { base64Floats } from '../../floats.ts'
import { type AuthEnv, scope } from '../../middleware/auth.ts'
import { parse, readJson } from '../../middleware/body.ts'
import { allSucceeded, submitAll } from './task.ts'

export const embeddings = new Hono<AuthEnv>().post('/', scope('tasks:write'), async (c) => {
  const request = parse(EmbeddingsRequest, withoutNulls(await readJson(c)))
  const network = networkOf(c.env)
  const principal = c.get('principal')
  const submitted = await submitAll(network, principal, embeddingTasks(request), c.req.header('idempotency-key'))
  c.header('x-daicn-task', submitted.map(({ id }) => id).join())
  const done = await allSucceeded(network, principal, submitted)
  return c.json(embeddingList(done, request.encoding_format === 'base64' ? base64Floats : (floats) => floats))
})
