/** Posts the roots of the public log to the chain's ReceiptLog, by a key of its own that the operator has bonded there. */
import { createPublicClient, type Hex, http } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { receiptLogAbi as abi, parametersAbi } from '#contracts/abi.ts'
import type { HourHead } from '#core/hour-log.ts'
import { formatAmount } from '#core/money.ts'
import { PARAMETER_NAMES } from '#core/parameters.ts'
import type { Address } from '#core/protocol/values.ts'
import { hourNumber } from '#core/public-log.ts'
import { ROOT_KINDS } from '#core/root.ts'
import type { ChainSettings } from './settings.ts'
import { openTransfers } from './transfers.ts'

/** A call to the node is given up after this long, and tried once more. */
const TIMEOUT_MS = 5_000
const NONE = `0x${'00'.repeat(32)}`

export type Poster = ReturnType<typeof openPoster>

/** @param key sends nothing else, so whoever calls must only wait for one post before the next */
export function openPoster({ rpc, deployment }: Pick<ChainSettings, 'rpc' | 'deployment'>, key: Hex) {
  const account = privateKeyToAccount(key)
  const address = account.address.toLowerCase() as Address
  const client = createPublicClient({ transport: http(rpc, { timeout: TIMEOUT_MS, retryCount: 1 }) })
  const transfers = openTransfers({ rpc, deployment }, account)
  const log = { abi, address: deployment.receiptLog } as const

  /** Throws for a bond that is too small, or on its way back. */
  async function mustBeBonded(): Promise<void> {
    const [[bonded, unbondsAt], needed] = await Promise.all([
      client.readContract({ ...log, functionName: 'bonds', args: [address] }),
      client.readContract({
        abi: parametersAbi,
        address: deployment.parameters,
        functionName: 'get',
        args: [PARAMETER_NAMES.indexOf('poster-bond')],
      }),
    ])
    if (unbondsAt !== 0) throw new Error(`the poster ${address} is taking its bond back`)
    if (bonded >= needed) return
    throw new Error(`the poster ${address} has bonded ${formatAmount(bonded)} of ${formatAmount(needed)} tokens`)
  }

  return {
    address,

    /**
     * Posts the roots of a closed hour that are not there yet, and waits until they are in a block. What is there stays: a root
     * never changes. Throws what the contract has against it, such as a bond that is too small.
     */
    async post(head: HourHead): Promise<void> {
      const hour = BigInt(hourNumber(head.hour))
      for (const [kind, tree] of ROOT_KINDS.entries()) {
        const there = await client.readContract({ ...log, functionName: 'roots', args: [address, kind, hour] })
        if (there !== NONE) continue
        await mustBeBonded()
        const { root, leaves } = head[tree]
        const signed = await transfers.signPost(kind, hour, `0x${root}`, BigInt(leaves))
        await transfers.send(signed)
        if (!(await transfers.mined(signed))) throw new Error(`the root was reverted in ${signed.hash}`)
      }
    },
  }
}
