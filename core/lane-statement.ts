/** What a provider says of a lane, so that DisputeCourt can hold it against what the lane has paid. */
import * as z from 'zod'
import { Signature } from './protocol/lease.ts'
import { Address, Bytes32 } from './protocol/values.ts'
import type { ReceiptDomain } from './receipt.ts'

/** "Until `at` I charged this lane so much in all, and if it is `closed` I never charge more", by the provider's operator. */
export const LaneStatement = z.object({
  provider: Address,
  account: Bytes32,
  /** Base units. */
  charged: z.string().regex(/^\d{1,40}$/, 'must be base units'),
  /** Unix seconds. */
  at: z.int().min(0),
  closed: z.boolean(),
  signature: Signature,
})
export type LaneStatement = z.output<typeof LaneStatement>

/** What `daicn --json close` prints, as far as a court needs it. */
export const StatementFile = z.object({ statement: LaneStatement })

/** The EIP-712 message of a lane statement. */
export function laneStatementTypedData(
  { chainId, court }: ReceiptDomain,
  { provider, account, charged, at, closed }: Omit<LaneStatement, 'signature'>,
) {
  return {
    domain: { name: 'DAICN Court', version: '1', chainId, verifyingContract: court },
    types: {
      LaneStatement: [
        { name: 'provider', type: 'address' },
        { name: 'account', type: 'bytes32' },
        { name: 'charged', type: 'uint256' },
        { name: 'at', type: 'uint256' },
        { name: 'closed', type: 'bool' },
      ],
    },
    primaryType: 'LaneStatement',
    message: { provider, account, charged: BigInt(charged), at: BigInt(at), closed },
  } as const
}
