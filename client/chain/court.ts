/** Faults of providers, brought to the court by what they signed. */
import { encodeAbiParameters, type Hex, keccak256, parseEventLogs } from 'viem'
import { disputeCourtAbi } from '#contracts/abi.ts'
import { type LaneStatement, laneStatementTypedData } from '#core/lane-statement.ts'
import type { Address } from '#core/protocol/values.ts'
import { type Receipt, receiptTypedData } from '#core/receipt.ts'
import { sha256 } from '../hash.ts'
import { type Chain, type Sent, send, type Wallet } from './chain.ts'
import { told } from './fault.ts'
import { parameter } from './governance.ts'
import { approve } from './token.ts'

/** Where a dispute is, in the court's order. */
export const DISPUTE_STAGES = ['none', 'drawing', 'judging', 'upheld', 'rejected', 'undecided'] as const

export type DisputeOnChain = {
  id: bigint
  stage: (typeof DISPUTE_STAGES)[number]
  challenger: Address
  provider: Address
  requester: Address
  /** Base units. */
  bond: bigint
  verifiers: readonly Address[]
  /** Unix seconds; null before its verifiers are drawn. */
  commitUntil: number | null
  revealUntil: number | null
}

const hash = (text: string) => sha256(new TextEncoder().encode(text))
const messageOf = async (receipt: Receipt) => (await receiptTypedData(receipt, hash)).message
const courtOf = ({ deployment }: Chain) => ({ abi: disputeCourtAbi, address: deployment.court }) as const

/** Two receipts of one attempt that contradict: costs their provider the minimum stake, at once. */
export async function proveEquivocation(wallet: Wallet, a: Receipt, b: Receipt): Promise<Sent> {
  const args = [await messageOf(a), a.signature, await messageOf(b), b.signature] as const
  return send(wallet, { ...courtOf(wallet), functionName: 'proveEquivocation', args })
}

/** A lane of the account of `payer` and `signer` that has paid more than its provider states: costs ten times that. */
export function proveOverclaim(wallet: Wallet, statement: LaneStatement, payer: Address, signer: Address) {
  const { message } = laneStatementTypedData({ ...wallet.deployment }, statement)
  const args = [message, statement.signature, payer, signer] as const
  return send(wallet, { ...courtOf(wallet), functionName: 'proveOverclaim', args })
}

/** Disputes the result of a receipt, for verifiers to judge, against the bond that the parameters say. */
export async function openDispute(wallet: Wallet, receipt: Receipt): Promise<Sent & { id: bigint }> {
  await approve(wallet, wallet.deployment.court, (await parameter(wallet, 'challenge-bond')).value)
  const args = [await messageOf(receipt), receipt.signature] as const
  const sent = await send(wallet, { ...courtOf(wallet), functionName: 'open', args })
  const { logs } = await told(wallet.node.getTransactionReceipt({ hash: sent.hash }))
  const [opened] = parseEventLogs({ abi: disputeCourtAbi, eventName: 'DisputeOpened', logs })
  return { ...sent, id: opened!.args.id }
}

export async function disputeOf(chain: Chain, id: bigint): Promise<DisputeOnChain> {
  const { node } = chain
  const [dispute, verifiers] = await Promise.all([
    told(node.readContract({ ...courtOf(chain), functionName: 'disputes', args: [id] })),
    told(node.readContract({ ...courtOf(chain), functionName: 'verifiersOf', args: [id] })),
  ])
  const [challenger, provider, requester, bond, , , commitUntil, revealUntil, stage] = dispute
  const times = { commitUntil: commitUntil || null, revealUntil: revealUntil || null }
  return { id, stage: DISPUTE_STAGES[stage]!, challenger, provider, requester, bond, verifiers, ...times }
}

/** Draws the verifiers of a dispute, once the block is there whose hash decides. */
export const drawVerifiers = (wallet: Wallet, id: bigint): Promise<Sent> =>
  send(wallet, { ...courtOf(wallet), functionName: 'draw', args: [id] })

/** What a verifier who was drawn says: whether the result is wrong, and the SHA-256 of the output that it got itself, in hex. */
export type Verdict = { verifier: Address; wrong: boolean; output: string }

/** Commits a verifier to a verdict that nobody can read before it is revealed. The wallet must be the verifier, or its operator. */
export async function commitVerdict(wallet: Wallet, id: bigint, verdict: Verdict): Promise<Sent> {
  const { verifier, wrong, output } = verdict
  const salt = await saltOf(wallet, id, verifier)
  const types = ['uint256', 'address', 'bool', 'bytes32', 'bytes32'].map((type) => ({ type }))
  const commitment = keccak256(encodeAbiParameters(types, [id, verifier, wrong, `0x${output}`, salt]))
  return send(wallet, { ...courtOf(wallet), functionName: 'commit', args: [id, verifier, commitment] })
}

/** Reveals the verdict that was committed by the same wallet, once no more can be committed. */
export async function revealVerdict(wallet: Wallet, id: bigint, verdict: Verdict): Promise<Sent> {
  const { verifier, wrong, output } = verdict
  const args = [id, verifier, wrong, `0x${output}`, await saltOf(wallet, id, verifier)] as const
  return send(wallet, { ...courtOf(wallet), functionName: 'reveal', args })
}

/** What hides a verdict. It follows from the wallet's key, whose signatures come out the same each time, so that there is nothing to lose in between. */
async function saltOf({ account, node, deployment }: Wallet, dispute: bigint, verifier: Address): Promise<Hex> {
  const signature = await told(
    node.signTypedData({
      account,
      domain: { name: 'DAICN verdict', version: '1', chainId: deployment.chainId, verifyingContract: deployment.court },
      types: {
        Salt: [
          { name: 'dispute', type: 'uint256' },
          { name: 'verifier', type: 'address' },
        ],
      },
      primaryType: 'Salt',
      message: { dispute, verifier },
    }),
  )
  return keccak256(signature)
}

/** Ends a dispute whose verifiers have revealed, or have had their time. */
export const resolveDispute = (wallet: Wallet, id: bigint): Promise<Sent> =>
  send(wallet, { ...courtOf(wallet), functionName: 'resolve', args: [id] })

/** What the court has awarded to an address and not paid out yet, base units. */
export const awardsOf = (chain: Chain, owner: Address): Promise<bigint> =>
  told(chain.node.readContract({ ...courtOf(chain), functionName: 'awards', args: [owner] }))

/** Pays out what was awarded to the wallet. */
export const withdrawAwards = (wallet: Wallet): Promise<Sent> =>
  send(wallet, { ...courtOf(wallet), functionName: 'withdraw' })
