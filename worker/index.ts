import { waitUntil } from 'cloudflare:workers'
import { FIRST_CELL } from '#core/cells.ts'
import { app } from './app.ts'
import { crossOrigin } from './cross-origin.ts'
import { type Env, type Network, networkOf } from './env.ts'
import { followChain } from './jobs/follow-chain.ts'
import { postRoots } from './jobs/post-roots.ts'
import { rollUp } from './jobs/roll-up.ts'
import { logError } from './log.ts'
import { Account as AccountObject } from './objects/account.ts'
import { Library as LibraryObject } from './objects/library.ts'
import { Market as MarketObject } from './objects/market.ts'
import { NetworkFeed as NetworkFeedObject } from './objects/network-feed.ts'
import { Payments as PaymentsObject } from './objects/payments.ts'
import { TaskRoom as TaskRoomObject } from './objects/task-room.ts'
import { metered, usageToTell, used } from './usage.ts'

export const Account = metered('account', AccountObject, tellUsage)
export const Library = metered('library', LibraryObject, tellUsage)
export const Market = metered('market', MarketObject, tellUsage)
export const NetworkFeed = metered('feed', NetworkFeedObject, tellUsage)
export const Payments = metered('payments', PaymentsObject, tellUsage)
export const TaskRoom = metered('room', TaskRoomObject, tellUsage)

/** Now and then the market is told what this isolate has used. */
function tellUsage(env: Env): void {
  const told = usageToTell(Date.now())
  if (!told) return
  waitUntil(
    networkOf(env)
      .market(FIRST_CELL)
      .takeUsage(told.id, told.usage)
      .catch((error) => logError('usage_failed', error)),
  )
}

/** Closes the hours that are over, and posts their roots where there is a poster. */
async function log(network: Network, now: number): Promise<void> {
  await rollUp(network, now)
  const { chain, history } = network
  if (chain?.poster) await postRoots(chain.poster, history.readHeads, now)
}

export default {
  fetch(request, env, context) {
    used.worker.requests++
    tellUsage(env)
    const call = () => app.fetch(request, env, context)
    return request.headers.has('origin') ? crossOrigin(request, call) : call()
  },
  async scheduled({ cron, scheduledTime }, env) {
    used.worker.requests++
    const network = networkOf(env)
    // Networks on one machine look at their chain more often than cron can: by this name.
    if (cron === 'chain') return followChain(network)
    await Promise.all([log(network, Number(scheduledTime)), followChain(network)])
  },
} satisfies ExportedHandler<Env>
