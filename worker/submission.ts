import { canonicalJson } from '#core/canonical-json.ts'
import type { SubmitHeaders } from '#core/lane.ts'
import type { TaskView } from '#core/protocol/task.ts'
import { encodeRequests, type TaskRequest } from '#core/request.ts'
import { type Principal, sha256 } from './auth.ts'
import { cellFor, inCell } from './cells.ts'
import type { Network } from './env.ts'
import { idempotencyOf } from './idempotency.ts'
import type { Json } from './outcome.ts'
import { laneFor } from './self-custody.ts'

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

/**
 * Submits all or none, paid by the caller's purse or by the lane that its requester signs for.
 * @returns the tasks as they stand when they have ended, or after `waitMs`
 */
export async function submitRequests(
  network: Network,
  { address, key }: Principal,
  requests: TaskRequest[],
  headers: SubmitHeaders,
  waitMs: number,
): Promise<Json<TaskView[]>> {
  const encoded = await encodeSubmission(requests)
  const idempotency = await idempotencyOf(headers['idempotency-key'], address, encoded)
  const signsItself = headers['voucher-signer'] !== undefined
  const { cell, payer } = signsItself
    ? await laneFor(network, address, { requests, encoded }, headers)
    : { cell: await cellFor(network, address, requests), payer: key }
  return inCell(network, address, cell, idempotency, (place) =>
    network.line(place).submit(address, payer, encoded, waitMs, idempotency),
  )
}
