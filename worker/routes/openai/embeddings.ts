import { Hono } from 'hono'
import { SubmitHeaders } from '#core/lane.ts'
import { EmbeddingsRequest, embeddingList, embeddingTasks } from '#core/openai.ts'
import { EmbeddingList } from '#core/openai-answers.ts'
import { base64Floats } from '../../base64.ts'
import { type Env, networkOf } from '../../env.ts'
import { operation } from '../../middleware/operation.ts'
import { PAYMENT_ERRORS } from '../../payment.ts'
import { allSucceeded, submitAll, toRequests, WAIT_ERRORS } from './task.ts'

const declared = operation({
  summary: 'Embed texts',
  access: 'tasks:write',
  headers: SubmitHeaders,
  body: EmbeddingsRequest,
  examples: { texts: { model: 'all-minilm', input: ['An open market for AI compute.'] } },
  answers: { 200: EmbeddingList },
  tasks: (request: EmbeddingsRequest) => toRequests(embeddingTasks(request)),
  errors: [...WAIT_ERRORS, ...PAYMENT_ERRORS],
})

export const embeddings = new Hono<{ Bindings: Env }>().post('/', declared, async (c) => {
  const request = c.req.valid('json')
  const network = networkOf(c.env)
  const principal = c.get('principal')
  const submitted = await submitAll(network, principal, embeddingTasks(request), c.req.valid('header'))
  c.header('x-daicn-task', submitted.map(({ id }) => id).join())
  const done = await allSucceeded(network, principal, submitted)
  return c.json(embeddingList(done, request.encoding_format === 'base64' ? base64Floats : (floats) => floats))
})
