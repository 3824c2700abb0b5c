import { DomainError } from '#core/errors.ts'
import type { Address } from '#core/protocol/values.ts'
import {
  checkDraft,
  countersignatureTypedData,
  type Draft,
  draftOf,
  type Evidence,
  type Receipt,
} from '#core/receipt.ts'
import { sha256 } from './auth.ts'
import type { Network } from './env.ts'
import { fromJson, unwrap } from './outcome.ts'

/**
 * The receipt of a task: what its provider signed, held against what the edge knows, and countersigned. Made each time it is
 * asked for; the signatures are the same each time.
 * @throws DomainError task_not_found, receipt_not_ready, receipt_unsigned, receipt_invalid
 */
export async function readReceipt(network: Network, cell: string, requester: Address, id: string): Promise<Receipt> {
  const { view, receipt } = fromJson(unwrap(await network.market(cell).task(requester, id)))
  if (view.status !== 'succeeded') throw new DomainError('receipt_not_ready', { detail: `the task is ${view.status}` })
  if (!receipt) throw new DomainError('receipt_unsigned', { detail: `by ${view.provider}` })
  const draft = await draftOf(network.receiptDomain, { requester, view, receipt }, sha256)
  const fault = await faultOf(network, draft)
  if (fault) throw new DomainError('receipt_invalid', { detail: `not true: ${fault.what}` })
  const { address, sign } = network.edgeKey()
  return { ...draft, edge: { address, signature: await sign(await countersignatureTypedData(draft, sha256)) } }
}

/**
 * All results of a task that were held against each other, each with what its provider signed of it; null where it signed nothing, or
 * what is not true.
 * @throws DomainError task_not_found, evidence_not_found
 */
export async function readEvidence(network: Network, cell: string, requester: Address, id: string): Promise<Evidence> {
  const { view, exhibits } = fromJson(unwrap(await network.market(cell).task(requester, id)))
  if (!exhibits) throw new DomainError('evidence_not_found')
  const results = exhibits.map(async ({ attempt, output, units, price, receipt }) => {
    const { provider, state } = view.attempts[attempt - 1]!
    // A refuted result was not paid, and its provider signed for what it would have been.
    const attempts = view.attempts.map((one) => (one.number === attempt ? { ...one, units, price } : one))
    const own = receipt && { requester, view: { ...view, output, attempts }, receipt }
    const draft = own ? await draftOf(network.receiptDomain, own, sha256) : null
    const isTrue = draft && !(await faultOf(network, draft))
    return { attempt, provider, state, output, receipt: isTrue ? draft : null }
  })
  return { task: id, results: await Promise.all(results) }
}

/** The first thing in it that is not true. */
const faultOf = async ({ recoverSigner }: Network, draft: Draft) =>
  (await checkDraft(draft, { hash: sha256, recover: recoverSigner })).find(({ ok }) => !ok)
