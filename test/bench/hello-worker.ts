import { Hono } from 'hono'

export default new Hono().get('/v1/hello', (context) => context.text('hello'))
