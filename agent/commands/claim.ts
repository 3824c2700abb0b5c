/** Claims all that the vouchers on disk are worth: against any RPC, and without an edge. */
import type { Address } from '#core/protocol/values.ts'
import { claimAll } from '../claims.ts'
import { loadAccount } from '../key.ts'
import { createLog } from '../log.ts'
import { rpcUrl } from '../settings.ts'
import { linkSettlement, messageOf } from '../settlement.ts'
import { loadVouchers, openVoucherBook } from '../voucher-book.ts'

/** @returns the exit code */
export async function claim(rpc: string, state: string): Promise<number> {
  const url = rpcUrl(rpc)
  const write = (line: string) => process.stdout.write(line)
  const log = createLog('pretty', write, () => new Date())
  const provider = await loadAccount(state)
  const kept = await loadVouchers(state)
  const settlements = new Map(kept.map(({ settlement }) => [JSON.stringify(settlement), settlement]))
  let claimed = 0n
  try {
    for (const settlement of settlements.values()) {
      const link = linkSettlement(url, settlement, provider)
      const book = await openVoucherBook(state, settlement, provider.address.toLowerCase() as Address)
      claimed += await claimAll({ link, book, log }, () => true)
    }
  } catch (error) {
    log('error', { reason: messageOf(error) })
    return 1
  }
  if (claimed === 0n) write('there is nothing to claim\n')
  return 0
}
