import { app } from './app.ts'
import { type Env, networkOf } from './env.ts'
import { rollUp } from './jobs/roll-up.ts'

// biome-ignore-start lint/performance/noBarrelFile: the platform wants the classes here
export { Account } from './objects/account.ts'
export { Library } from './objects/library.ts'
export { Market } from './objects/market.ts'
export { NetworkFeed } from './objects/network-feed.ts'
export { TaskRoom } from './objects/task-room.ts'
// biome-ignore-end lint/performance/noBarrelFile: the platform wants the classes here

export default {
  fetch: app.fetch,
  scheduled: ({ scheduledTime }, env) => rollUp(networkOf(env), Number(scheduledTime)),
} satisfies ExportedHandler<Env>
