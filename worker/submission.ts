import { canonicalJson } from '#core/canonical-json.ts'
import { encodeRequests, type TaskRequest } from '#core/request.ts'
import { sha256 } from './auth.ts'

/**
 * Requests as they go to a market, each with the hash of its input. That is taken here, where there are many to do it, so that
 * the market, which is alone, need neither do it nor keep the input for the sake of a receipt.
 */
export async function encodeSubmission(requests: TaskRequest[]): Promise<string> {
  const hashed = requests.map(async (request) => ({
    ...request,
    inputHash: await sha256(canonicalJson(request.input)),
  }))
  return encodeRequests(await Promise.all(hashed))
}
