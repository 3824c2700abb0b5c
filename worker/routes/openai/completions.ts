import { Hono } from 'hono'
import { CompletionRequest, completionTasks, textCompletion, withoutNulls } from '#core/openai.ts'
import { networkOf } from '../../env.ts'
import { type AuthEnv, scope } from '../../middleware/auth.ts'
import { parse, readJson } from '../../middleware/body.ts'
import { allSucceeded, submitAll } from './task.ts'

/** The older plain completions: a prompt that the model goes on with, without a chat format. */
export const completions = new Hono<AuthEnv>().post('/', scope('tasks:write'), async (c) => {
  const request = parse(CompletionRequest, withoutNulls(await readJson(c)))
  const network = networkOf(c.env)
  const principal = c.get('principal')
  const submitted = await submitAll(network, principal, completionTasks(request), c.req.header('idempotency-key'))
  c.header('x-daicn-task', submitted.map(({ id }) => id).join())
  return c.json(textCompletion(request, await allSucceeded(network, principal, submitted)))
})
