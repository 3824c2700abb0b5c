import { closeHour, previousOf } from '#core/hour-log.ts'
import { hourName, hourOf } from '#core/public-log.ts'
import { sha256 } from '../auth.ts'
import type { Network } from '../env.ts'
import { linesOf, talliesOf } from '../public-log.ts'

/** Closes the hours of the public log that are over; after a roll-up, so that all that ended in them is there. */
export async function closeHours(network: Network, now: number): Promise<void> {
  const { cells, history, keccak } = network
  let last = await history.readLastHead()
  for (const hour of await history.readOpenHours(cells, hourOf(now))) {
    const tallies = await talliesOf(network, hour)
    const lines = linesOf(network, hour, tallies.requesters)
    const head = await closeHour(hourName(hour), last && previousOf(last), lines, { hash: sha256, keccak })
    await history.saveHead(hour, head, tallies)
    last = head
  }
}
