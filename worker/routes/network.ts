import { type Context, Hono } from 'hono'
import { DomainError } from '#core/errors.ts'
import { cost } from '../cost.ts'
import { CELLS, type Env, networkOf } from '../env.ts'
import { upgrade } from '../middleware/upgrade.ts'

const DAY_MS = 86_400_000

export const network = new Hono<{ Bindings: Env }>()
  .get('/', async (c) => c.json(await networkOf(c.env).market().snapshot()))
  .get('/books', async (c) => c.json(await networkOf(c.env).market().books()))
  .get('/cost', (c) => c.json({ ...cost, rowsWritten: cost.objectRows + cost.databaseRows }))
  .get('/series', async (c) => {
    const now = Date.now()
    const to = time(c, 'to', now)
    const from = time(c, 'from', to - DAY_MS)
    return c.json({ minutes: await networkOf(c.env).history.readMinutes(CELLS, from, to) })
  })
  .get('/socket', upgrade, (c) => {
    return networkOf(c.env)
      .feed()
      .fetch('https://feed/', { headers: { upgrade: 'websocket' } })
  })

function time(c: Context, name: string, otherwise: number): number {
  const text = c.req.query(name)
  if (text === undefined) return otherwise
  const value = Number(text)
  if (text !== '' && Number.isSafeInteger(value) && value >= 0) return value
  throw new DomainError('invalid_request', { detail: `${name} must be Unix milliseconds`, pointer: `?${name}` })
}
