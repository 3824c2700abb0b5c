import { Hono } from 'hono'
import { proxy } from 'hono/proxy'

export default new Hono<{ Bindings: { UPSTREAM: string } }>().post('/v1/chat/completions', (context) =>
  proxy(context.env.UPSTREAM + context.req.path, context.req),
)
