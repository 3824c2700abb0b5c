/** Roots of an edge's public log on the chain, and the bond of whoever posts them. Amounts are base units. */
import { receiptLogAbi } from '#contracts/abi.ts'
import type { Address } from '#core/protocol/values.ts'
import { ROOT_KINDS } from '#core/root.ts'
import { type Chain, type Sent, send, type Wallet } from './chain.ts'
import { told } from './fault.ts'
import { approve } from './token.ts'

/** Hex without a prefix, as in the head of the hour; null for what was not posted. */
export type PostedRoots = Record<(typeof ROOT_KINDS)[number], string | null>
/** `unbondsAt` in Unix seconds; null while nobody asked for it. */
export type Bond = { amount: bigint; unbondsAt: number | null }

const logOf = ({ deployment }: Chain) => ({ abi: receiptLogAbi, address: deployment.receiptLog }) as const

/** What somebody has posted of an hour, in hours since 1970. */
export async function postedRoots(chain: Chain, poster: Address, hour: number): Promise<PostedRoots> {
  const read = async (kind: number) => {
    const args = [poster, kind, BigInt(hour)] as const
    const root = await told(chain.node.readContract({ ...logOf(chain), functionName: 'roots', args }))
    return BigInt(root) === 0n ? null : root.slice(2)
  }
  const [receipts, decisions] = await Promise.all(ROOT_KINDS.map((_, kind) => read(kind)))
  return { receipts: receipts!, decisions: decisions! }
}

export async function bondOf(chain: Chain, poster: Address): Promise<Bond> {
  const read = { ...logOf(chain), functionName: 'bonds', args: [poster] } as const
  const [amount, unbondsAt] = await told(chain.node.readContract(read))
  return { amount, unbondsAt: unbondsAt || null }
}

/** Adds tokens of the wallet to its bond, and takes back a wish to leave. */
export async function bond(wallet: Wallet, amount: bigint): Promise<Sent> {
  await approve(wallet, wallet.deployment.receiptLog, amount)
  return send(wallet, { ...logOf(wallet), functionName: 'bond', args: [amount] })
}

/** Asks for the bond of the wallet, which posts nothing more; it can be paid back 14 days later. */
export const requestBond = (wallet: Wallet): Promise<Sent> =>
  send(wallet, { ...logOf(wallet), functionName: 'requestUnbond' })

/** Pays back what was asked for 14 days ago. */
export const finalizeBond = (wallet: Wallet): Promise<Sent> =>
  send(wallet, { ...logOf(wallet), functionName: 'finalizeUnbond' })
