import { Hono } from 'hono'
import { ChainView } from '#core/deployment.ts'
import { type Env, networkOf } from '../env.ts'
import { operation } from '../middleware/operation.ts'

export const chain = new Hono<{ Bindings: Env }>().get(
  '/',
  operation({
    summary: 'The chain on which this network pays',
    details: 'Without a deployment the network has no chain, and its tokens are those of its faucet.',
    access: 'anyone',
    answers: { 200: ChainView },
  }),
  (c) => {
    const { chainId, chain } = networkOf(c.env)
    const { deployment = null, confirmations = 0, publicRpc: rpc = null } = chain ?? {}
    const poster = chain?.poster ? { poster: chain.poster.address } : {}
    return c.json({ chainId, deployment, confirmations, ...poster, rpc })
  },
)
