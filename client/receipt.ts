import type { Check, Receipt } from '#core/receipt.ts'
import { type Connection, insist } from './edge.ts'
import { pathOf, type Signal } from './task.ts'

/** What was checked of a receipt; it is true when all of it is. */
export type Verdict = { ok: boolean; checks: Check[] }

/** The receipt of a task that has succeeded, which `verifyReceipt` checks without the edge. */
export const receipt = (connection: Connection, id: string, { signal }: Signal = {}) =>
  insist<Receipt>(connection, 'GET', `${pathOf(id)}/receipt`, { signal })

/**
 * Checks a receipt by itself, asking nobody: that it is whole, that its provider signed it and its edge countersigned it, and
 * that `output` is what it was signed for. Whether provider and edge are whom you mean, their addresses tell.
 */
export async function verifyReceipt(receipt: unknown, { output }: { output?: unknown } = {}): Promise<Verdict> {
  const { verify } = await import('./verify.ts')
  const checks = await verify(receipt, output)
  return { ok: checks.every(({ ok }) => ok), checks }
}
