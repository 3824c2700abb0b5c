import { closeHour, previousOf } from '#core/hour-log.ts'
import { hourName, hourOf } from '#core/public-log.ts'
import { sha256 } from '../auth.ts'
import { CELLS, type Network } from '../env.ts'
import { linesOf } from '../public-log.ts'

/** Closes the hours of the public log that are over; after a roll-up, so that all that ended in them is there. */
export async function closeHours({ history, keccak }: Network, now: number): Promise<void> {
  let last = await history.readLastHead()
  for (const hour of await history.readOpenHours(CELLS, hourOf(now))) {
    const head = await closeHour(hourName(hour), last && previousOf(last), linesOf(history, hour), {
      hash: sha256,
      keccak,
    })
    await history.saveHead(hour, head)
    last = head
  }
}
