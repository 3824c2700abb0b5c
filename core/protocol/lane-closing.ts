/** The end of a lane, as requesters, the edge and providers tell it; see core/lane-closing.ts. */
import * as z from 'zod'
import { LaneStatement } from '../lane-statement.ts'
import { Signature } from './lease.ts'
import { Address, Amount, Bytes32 } from './values.ts'

/** What a provider signs to close a lane. */
export const LaneClosing = z
  .strictObject({
    statement: LaneStatement.describe(
      "A closed one, of all that was charged: for `DisputeCourt`, by the provider's key.",
    ),
    release: z
      .strictObject({
        epoch: z.int().min(0),
        deadline: z.int().min(0).describe('Unix seconds.'),
        signature: Signature,
      })
      .describe('Frees what is locked; anybody may send it to `DaicnSettlement`.'),
  })
  .meta({ id: 'LaneClosing' })
export type LaneClosing = z.output<typeof LaneClosing>

/** A lane that a provider is asked to close. */
export const ClosingLane = z.object({
  requester: Address,
  account: Bytes32,
  charged: Amount.describe('All that its requester was charged: what the statement must say.'),
})
export type ClosingLane = z.output<typeof ClosingLane>

export const CloseLane = z.strictObject({ account: Bytes32, provider: Address }).meta({ id: 'CloseLane' })
export const SignedClosing = LaneClosing.extend({ requester: Address }).meta({ id: 'SignedClosing' })
export type SignedClosing = z.output<typeof SignedClosing>

/** A lane as its requester sees it. */
export const OwnLane = z
  .object({
    account: Bytes32,
    provider: Address,
    signed: Amount.describe('What your last voucher came to.'),
    charged: Amount,
    held: Amount.describe('For tasks that are under way.'),
    state: z.enum(['open', 'closing', 'closed']).describe('`closing` until its provider has signed.'),
    closing: LaneClosing.nullable().describe('Once it is closed. Keep it: it proves a later claim of more.'),
  })
  .meta({ id: 'OwnLane' })
export type OwnLane = z.output<typeof OwnLane>
