import { Hono } from 'hono'
import { Health } from '#core/protocol/network.ts'
import { PROTOCOL_VERSION } from '#core/protocol/values.ts'
import { type Env, networkOf } from './env.ts'
import { operation } from './middleware/operation.ts'
import { onError, onNotFound } from './middleware/problem.ts'
import { account, keys, signIn } from './routes/account.ts'
import { blobs } from './routes/blobs.ts'
import { chain } from './routes/chain.ts'
import { decisions } from './routes/decisions.ts'
import { exports, log, reputations } from './routes/exports.ts'
import { forecast } from './routes/forecast.ts'
import { lanes } from './routes/lanes.ts'
import { network } from './routes/network.ts'
import { batches } from './routes/openai/batches.ts'
import { completions } from './routes/openai/completions.ts'
import { embeddings } from './routes/openai/embeddings.ts'
import { files } from './routes/openai/files.ts'
import { models } from './routes/openai/models.ts'
import { chat } from './routes/openai.ts'
import { OpenApi, toOpenApi } from './routes/openapi.ts'
import { operator } from './routes/operator.ts'
import { leases, provider } from './routes/provider.ts'
import { providers } from './routes/providers.ts'
import { quote } from './routes/quote.ts'
import { tasks } from './routes/tasks.ts'
import { vouchers } from './routes/vouchers.ts'
import { webhooks } from './routes/webhooks.ts'

export const app = new Hono<{ Bindings: Env }>()
  .basePath('/v1')
  .get(
    '/health',
    operation({ summary: 'Which network this is, and that it answers', access: 'anyone', answers: { 200: Health } }),
    (c) => {
      const { receiptDomain, edgeKey, isDevelopment: development } = networkOf(c.env)
      const { address } = edgeKey()
      return c.json({ ok: true, ...receiptDomain, address, development, protocol: PROTOCOL_VERSION })
    },
  )
  .get('/openapi.json', operation({ summary: 'This document', access: 'anyone', answers: { 200: OpenApi } }), (c) =>
    c.json(document(), 200, { 'cache-control': 'public, max-age=300', vary: 'origin' }),
  )
  .route('/sign-in', signIn)
  .route('/account', account)
  .route('/keys', keys)
  .route('/tasks', tasks)
  .route('/blobs', blobs)
  .route('/quote', quote)
  .route('/webhooks', webhooks)
  .route('/models', models)
  .route('/chat/completions', chat)
  .route('/completions', completions)
  .route('/embeddings', embeddings)
  .route('/files', files)
  .route('/batches', batches)
  .route('/provider', provider)
  .route('/provider/vouchers', vouchers)
  .route('/provider/lanes', lanes)
  .route('/providers', providers)
  .route('/leases', leases)
  .route('/network', network)
  .route('/chain', chain)
  .route('/forecast', forecast)
  .route('/decisions', decisions)
  .route('/reputations', reputations)
  .route('/exports', exports)
  .route('/log', log)
  .route('/operator', operator)
  .notFound((c) => onNotFound(c, methodsAt(c.req.path)))
  .onError(onError)

let made: OpenApi | undefined

/** The API's document, made when it is first asked for. */
function document(): OpenApi {
  made ??= toOpenApi(app.routes)
  return made
}

function methodsAt(path: string): string[] {
  const taken = ['GET', 'POST', 'PUT', 'DELETE'].filter((method) =>
    app.router.match(method, path)[0].some(([[, route]]) => route.method === method),
  )
  return taken.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
}

export type App = typeof app
