import type { HourHead } from '#core/hour-log.ts'
import { hourOf } from '#core/public-log.ts'
import type { Poster } from '../chain/poster.ts'
import { logError, summaryOf } from '../log.ts'

/** A network that was away posts so many hours again; the root of a later one vouches for those before. */
const HOURS_BACK = 24

/** The last hour whose roots this isolate knows to be on the chain. */
let postedTo = 0

type ReadHeads = (from: number, to: number, limit: number) => Promise<HourHead[]>

/** Posts the roots of closed hours to the chain, the earliest first. What cannot be posted is logged and tried again by the next run. */
export async function postRoots(poster: Poster, readHeads: ReadHeads, now: number): Promise<void> {
  const last = hourOf(now) - 1
  const from = Math.max(postedTo + 1, last - HOURS_BACK + 1)
  if (from > last) return
  try {
    for (const head of await readHeads(from, last, HOURS_BACK)) await poster.post(head)
    postedTo = last
  } catch (error) {
    logError('roots_not_posted', summaryOf(error))
  }
}
