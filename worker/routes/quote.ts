import { Hono } from 'hono'
import { Quote } from '#core/protocol/quote.ts'
import { SubmitTask } from '#core/protocol/task.ts'
import { toRequest } from '#core/request.ts'
import { type Env, networkOf } from '../env.ts'
import { operation } from '../middleware/operation.ts'

const CHAT = { kind: 'llm.chat', input: { messages: [{ role: 'user', content: 'Say hello.' }], max_tokens: 64 } }

export const quote = new Hono<{ Bindings: Env }>().post(
  '/',
  operation({
    summary: 'What a task would cost and how long it would wait',
    details: 'Nothing is held or kept. When no provider may run it, the answer says which filter left nobody.',
    access: 'tasks:write',
    body: SubmitTask,
    examples: { chat: CHAT },
    answers: { 200: Quote },
    errors: ['unknown_kind', 'price_below_unit', 'not_comparable'],
  }),
  async (c) => {
    const request = toRequest(c.req.valid('json'))
    return c.json(await networkOf(c.env).market().quote(c.get('principal').address, request))
  },
)
