/** Loaded when there is a log to verify. */
import { keccak256 } from 'viem/utils'
import { type Check, checkHour, type HourHead, nodeBy, type Tools } from '#core/hour-log.ts'
import { inclusionProof } from '#core/merkle.ts'
import { loggedHash, type Receipt } from '#core/receipt.ts'
import { sha256 } from './hash.ts'

const tools: Tools = {
  hash: (text) => sha256(new TextEncoder().encode(text)),
  keccak: (hex) => keccak256(`0x${hex}`).slice(2),
}

/**
 * Checks exports of closed hours, each with the one before it. They are texts as `GET /v1/exports/:hour` gives them.
 * @param heads of hours between them, as `GET /v1/log/consistency` gives them
 */
export async function verifyLog(
  exports: readonly string[],
  heads: readonly HourHead[] = [],
): Promise<{ ok: boolean; checks: Check[] }> {
  const checks: Check[] = []
  let before: HourHead | null = null
  for (const text of exports) {
    const { head, checks: found } = await checkHour(linesOf(text), before, betweenOf(heads, before, text), tools)
    checks.push(...found.map(({ what, ok }) => ({ what: `${head?.hour ?? 'the export'}: ${what}`, ok })))
    before = head
  }
  return { ok: checks.every(({ ok }) => ok), checks }
}

/** Those after the head of one export and before that of another. */
function betweenOf(heads: readonly HourHead[], before: HourHead | null, text: string): HourHead[] {
  if (!before) return []
  const hour = /^{"hour":"([^"]+)"/.exec(text)?.[1] ?? ''
  return heads.filter((head) => head.hour > before.hour && head.hour < hour)
}

/** Where a receipt is in an hour, with the proof that ReceiptLog.includes takes; null when it is not there. */
export async function proofOf(receipt: Receipt, text: string): Promise<{ hash: string; proof: string[] } | null> {
  const hash = await loggedHash(receipt, tools.hash)
  const [head, ...lines] = linesOf(text).map((line) => JSON.parse(line) as Partial<HourHead> & { receipt?: string })
  const receipts = lines.flatMap((line) => line.receipt ?? [])
  const index = receipts.indexOf(hash)
  if (index < 0) return null
  const leaves = [head!.previous?.receipts ?? '00'.repeat(32), ...receipts].map(tools.keccak)
  return { hash, proof: inclusionProof(leaves, index + 1, nodeBy(tools)) }
}

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '')
