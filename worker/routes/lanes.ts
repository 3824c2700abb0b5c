import { Hono } from 'hono'
import { DomainError } from '#core/errors.ts'
import { LaneView, LockLane } from '#core/lane.ts'
import { laneStatementTypedData } from '#core/lane-statement.ts'
import { SignedClosing } from '#core/protocol/lane-closing.ts'
import { releaseTypedData } from '#core/voucher.ts'
import { cellOf } from '../cells.ts'
import { chainOf, type Env, networkOf } from '../env.ts'
import { lockLane } from '../lock-lane.ts'
import { operation } from '../middleware/operation.ts'
import { unwrap } from '../outcome.ts'

export const lanes = new Hono<{ Bindings: Env }>()
  .post(
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
      const chain = chainOf(network)
      const { requester } = c.req.valid('json')
      return c.json(await lockLane(network, chain, c.get('principal').address, requester))
    },
  )
  .post(
    '/close',
    operation({
      summary: 'Close a lane whose requester asks for it',
      details:
        'Sign that you never charge it more than it was charged, and that what is locked in it may be freed at once. `GET /v1/provider/vouchers` names such lanes. To claim more later costs stake.',
      access: 'session',
      body: SignedClosing,
      answers: { 204: null },
      errors: ['no_chain', 'lane_not_found', 'closing_refused'],
    }),
    async (c) => {
      const network = networkOf(c.env)
      const { settlement } = chainOf(network)
      const { address } = c.get('principal')
      const { requester, statement, release } = c.req.valid('json')
      const { account } = statement
      const { epoch, deadline, signature } = release
      const freed = { account, receiver: address, epoch: BigInt(epoch), deadline: BigInt(deadline) }
      const signers = await Promise.all([
        network.recoverSigner(laneStatementTypedData(network.receiptDomain, statement), statement.signature),
        network.recoverSigner(releaseTypedData(settlement, freed), signature),
      ])
      if (signers.some((signer) => signer !== address)) {
        throw new DomainError('closing_refused', { detail: `both must be signed by ${address}` })
      }
      unwrap(await network.market(await cellOf(network, address)).closeLane(address, requester, { statement, release }))
      return c.body(null, 204)
    },
  )
