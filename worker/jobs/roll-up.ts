import type { Network } from '../env.ts'
import { closeHours } from './close-hours.ts'

/** Every minute: each market's last minutes go into the history, and every ten its forecasts learn; an hour that is over is closed. */
export async function rollUp(network: Network, now: number): Promise<void> {
  await network.everywhere((market) => market.rollUp(now))
  await closeHours(network, now)
}
