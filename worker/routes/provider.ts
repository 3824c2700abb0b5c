import { Hono } from 'hono'
import { DomainError } from '#core/errors.ts'
import { parseLeaseId } from '#core/lease.ts'
import { type Address, OutputFrame, Poll, Register, Sha256 } from '#core/protocol.ts'
import { parseTaskId } from '#core/task-id.ts'
import { readBlob } from '../blobs.ts'
import { isCell, type Network, networkOf } from '../env.ts'
import { type AuthEnv, signedIn } from '../middleware/auth.ts'
import { parse, readBody } from '../middleware/body.ts'
import { reply } from '../middleware/reply.ts'
import { upgrade } from '../middleware/upgrade.ts'
import { toJson, unwrap } from '../outcome.ts'
import { content } from './blobs.ts'

export const provider = new Hono<AuthEnv>()
  .use(signedIn)
  .post('/register', async (c) => {
    const registration = await readBody(c, Register)
    return c.json(await networkOf(c.env).market().register(c.get('principal').address, registration))
  })
  .post('/poll', async (c) => {
    const call = await readBody(c, Poll)
    return reply(c, await networkOf(c.env).line().poll(c.get('principal').address, toJson(call)), 200)
  })
  .get('/why', async (c) => {
    return c.json(unwrap(await networkOf(c.env).market().why(c.get('principal').address)))
  })
  .get('/socket', upgrade, async (c) => {
    const headers = { upgrade: 'websocket', 'x-provider': c.get('principal').address }
    return networkOf(c.env).market().fetch('https://market/', { headers })
  })

export const leases = new Hono<AuthEnv>()
  .use(signedIn)
  .get('/:id/output', upgrade, async (c) => {
    const network = networkOf(c.env)
    const { task, attempt, offset } = await holder(network, c.get('principal').address, c.req.param('id'))
    const url = `https://room/?attempt=${attempt}&offset=${offset}`
    return network.room(task).fetch(url, { headers: { upgrade: 'websocket' } })
  })
  .put('/:id/output', async (c) => {
    const network = networkOf(c.env)
    const frame = await readBody(c, OutputFrame)
    const { task, attempt, offset } = await holder(network, c.get('principal').address, c.req.param('id'))
    return c.json(await network.room(task).append(attempt, offset, frame))
  })
  .get('/:id/blobs/:sha256', async (c) => {
    const network = networkOf(c.env)
    const lease = c.req.param('id')
    const sha256 = parse(Sha256, c.req.param('sha256'))
    const { cell } = known(lease)
    const owner = await network.market(cell).blobOwner(c.get('principal').address, lease, sha256)
    if (!owner) throw new DomainError('lease_not_found', { detail: 'no lease of yours refers to this blob' })
    return content(c, await readBlob(network, owner, sha256))
  })

type Delivery = { task: string; attempt: number; offset: number }

/** Who delivers output must hold the lease. */
async function holder(network: Network, address: Address, lease: string): Promise<Delivery> {
  const { cell, task, attempt } = known(lease)
  const offset = await network.market(cell).outputOf(address, lease)
  if (offset === null) throw new DomainError('lease_not_found')
  return { task, attempt, offset }
}

function known(lease: string): { task: string; attempt: number; cell: string } {
  const parsed = parseLeaseId(lease)
  const cell = parsed && parseTaskId(parsed.task)?.cell
  if (!cell || !isCell(cell)) throw new DomainError('lease_not_found')
  return { ...parsed, cell }
}
