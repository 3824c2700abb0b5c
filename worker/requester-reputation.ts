import { hourNumber } from '#core/public-log.ts'
import {
  type RequesterReputation,
  type RequesterReputations,
  reputationsOfTallies,
  viewOf,
} from '#core/requester-reputation.ts'
import { sha256 } from './auth.ts'
import type { Network } from './env.ts'

/** Under which the public log tells of a requester. Who knows an address but not the secret cannot tell which it is. */
export const requesterName = async ({ secret }: Network, address: string): Promise<string> =>
  (await sha256(`DAICN requester\n${address}\n${secret}`)).slice(0, 32)

/** As of the last closed hour: of this name, or of every. */
export async function requesterReputations({ history }: Network, name?: string): Promise<RequesterReputations> {
  const last = await history.readLastHead()
  if (!last) return { until: null, reputations: [] }
  const tallies = await history.readTalliesUntil(hourNumber(last.hour), name)
  return { until: last.hour, reputations: reputationsOfTallies(tallies) }
}

/** That of an account. */
export async function ownReputation(network: Network, address: string): Promise<RequesterReputation> {
  const name = await requesterName(network, address)
  const { reputations } = await requesterReputations(network, name)
  return reputations[0] ?? viewOf(name)
}
