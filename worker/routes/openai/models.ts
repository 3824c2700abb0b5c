import { Hono } from 'hono'
import { DomainError } from '#core/errors.ts'
import { mergedModels } from '#core/merged.ts'
import { ModelList, ModelView } from '#core/protocol/model.ts'
import { type Env, networkOf } from '../../env.ts'
import { operation } from '../../middleware/operation.ts'

export const models = new Hono<{ Bindings: Env }>()
  .get('/', operation({ summary: 'List the models', access: 'anyone', answers: { 200: ModelList } }), async (c) =>
    c.json({ object: 'list', data: mergedModels(await networkOf(c.env).everywhere((market) => market.models())) }),
  )
  // A model's name may hold slashes, which not every client encodes.
  .get(
    '/:id{.+}',
    operation({
      summary: 'Read a model',
      access: 'anyone',
      answers: { 200: ModelView },
      errors: ['unknown_model'],
    }),
    async (c) => {
      const id = c.req.param('id')
      const models = await networkOf(c.env).everywhere((market) => market.models())
      const model = mergedModels(models).find((one) => one.id === id)
      if (!model)
        throw new DomainError('unknown_model', { detail: `no provider has offered "${id}"`, pointer: '/model' })
      return c.json(model)
    },
  )
