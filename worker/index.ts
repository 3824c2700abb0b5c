import { app } from './app.ts'
import { type Env, networkOf } from './env.ts'
import { followChain } from './jobs/follow-chain.ts'
import { rollUp } from './jobs/roll-up.ts'

// biome-ignore-start lint/performance/noBarrelFile: the platform wants the classes here
export { Account } from './objects/account.ts'
export { Library } from './objects/library.ts'
export { Market } from './objects/market.ts'
export { NetworkFeed } from './objects/network-feed.ts'
export { Payments } from './objects/payments.ts'
export { TaskRoom } from './objects/task-room.ts'
// biome-ignore-end lint/performance/noBarrelFile: the platform wants the classes here

export default {
  fetch: app.fetch,
  async scheduled({ cron, scheduledTime }, env) {
    const network = networkOf(env)
    // Networks on one machine look at their chain more often than cron can: by this name.
    if (cron === 'chain') return followChain(network)
    await Promise.all([rollUp(network, Number(scheduledTime)), followChain(network)])
  },
} satisfies ExportedHandler<Env>
