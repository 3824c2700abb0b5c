import { DomainError } from '#core/errors.ts'
import type { Address } from '#core/protocol.ts'
import { checkDraft, countersignatureTypedData, draftOf, type Receipt } from '#core/receipt.ts'
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
  const checks = await checkDraft(draft, { hash: sha256, recover: network.recoverSigner })
  const fault = checks.find(({ ok }) => !ok)
  if (fault) throw new DomainError('receipt_invalid', { detail: `not true: ${fault.what}` })
  const { address, sign } = network.edgeKey()
  return { ...draft, edge: { address, signature: await sign(await countersignatureTypedData(draft, sha256)) } }
}
