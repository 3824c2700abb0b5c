import { Hono } from 'hono'
import { DomainError } from '#core/errors.ts'
import { LaneView, LockLane } from '#core/lane.ts'
import { type Env, networkOf } from '../env.ts'
import { lockLane } from '../lock-lane.ts'
import { operation } from '../middleware/operation.ts'

export const lanes = new Hono<{ Bindings: Env }>().post(
  '/',
  operation({
    summary: 'Have the lane of a requester locked further',
    details:
      'What is locked in your lane is paid for sure, whatever the requester takes out. The edge locks what your leases may come to and somewhat ahead, and answers when that is in a block; look at the chain yourself before you rely on it.',
    access: 'session',
    body: LockLane,
    answers: { 200: LaneView },
    errors: ['no_chain', 'not_owed', 'chain_unreachable'],
  }),
  async (c) => {
    const network = networkOf(c.env)
    if (!network.chain) throw new DomainError('no_chain')
    const { requester } = c.req.valid('json')
    return c.json(await lockLane(network, network.chain, c.get('principal').address, requester))
  },
)
