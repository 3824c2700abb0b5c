import { Hono } from 'hono'
import { BatchList, BatchView, CreateBatch, PageQuery } from '#core/batch.ts'
import { DomainError } from '#core/errors.ts'
import { type Env, networkOf } from '../../env.ts'
import { operation } from '../../middleware/operation.ts'
import { unwrap } from '../../outcome.ts'
import { pageOf } from './page.ts'

export const batches = new Hono<{ Bindings: Env }>()
  .post(
    '/',
    operation({
      summary: 'Start a batch: a file of requests, one a line, done within a day',
      access: 'tasks:write',
      body: CreateBatch,
      examples: {
        chats: { input_file_id: 'file-...', endpoint: '/v1/chat/completions', completion_window: '24h' },
      },
      answers: { 200: BatchView },
      errors: ['file_not_found'],
    }),
    async (c) => {
      const { address, key } = c.get('principal')
      return c.json(unwrap(await networkOf(c.env).library(address).createBatch(key, c.req.valid('json'))))
    },
  )
  .get(
    '/',
    operation({
      summary: 'List the batches, latest first',
      access: 'tasks:read',
      query: PageQuery,
      answers: { 200: BatchList },
    }),
    async (c) => {
      const all = await networkOf(c.env).library(c.get('principal').address).batches()
      return c.json(pageOf(c.req.valid('query'), all))
    },
  )
  .get(
    '/:id',
    operation({
      summary: 'Read a batch',
      access: 'tasks:read',
      answers: { 200: BatchView },
      errors: ['batch_not_found'],
    }),
    async (c) => {
      const batch = await networkOf(c.env).library(c.get('principal').address).batch(c.req.param('id'))
      if (!batch) throw new DomainError('batch_not_found')
      return c.json(batch)
    },
  )
  .post(
    '/:id/cancel',
    operation({
      summary: 'Cancel a batch',
      details: 'What was done is kept; each line that was not is named in the error file.',
      access: 'tasks:write',
      answers: { 200: BatchView },
      errors: ['batch_not_found', 'batch_over'],
    }),
    async (c) => {
      return c.json(unwrap(await networkOf(c.env).library(c.get('principal').address).cancelBatch(c.req.param('id'))))
    },
  )
