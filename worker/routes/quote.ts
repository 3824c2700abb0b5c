import { Hono } from 'hono'
import { Quote } from '#core/protocol/quote.ts'
import { SubmitTask } from '#core/protocol/task.ts'
import { quoteOf } from '../cells.ts'
import { type Env, networkOf } from '../env.ts'
import { operation } from '../middleware/operation.ts'
import { withInputs } from '../uploaded-input.ts'

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
    errors: ['unknown_kind', 'price_below_unit', 'not_comparable', 'blob_not_found'],
  }),
  async (c) => {
    const { address } = c.get('principal')
    const network = networkOf(c.env)
    const [request] = await withInputs(network, address, [c.req.valid('json')], () => '')
    return c.json((await quoteOf(network, address, request!)).quote)
  },
)
