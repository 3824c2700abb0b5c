/** Vouchers as the edge hands them to the provider that they pay, and as the provider keeps them. */
import * as z from 'zod'
import { ClosingLane } from './protocol/lane-closing.ts'
import { Address, Amount, Hex } from './protocol/values.ts'

export const VOUCHERS_A_PAGE = 100

export const VouchersQuery = z.object({
  after: Amount.default('0').describe('`next` of an earlier answer: only what has grown since.'),
})

export const VoucherView = z.object({
  account: Hex.describe("The requester's account on the chain."),
  requester: Address,
  charged: Amount.describe("What the requester was charged for this provider's work, over all time."),
  ceiling: Amount.describe('What was signed for: at least what was charged.'),
  selfSigned: z.boolean().default(false).describe('By a key of the requester, and not of the edge.'),
  signature: Hex.describe("Of the EIP-712 message `Voucher`, by the account's signer."),
})
export type VoucherView = z.output<typeof VoucherView>

export const VoucherPage = z
  .object({
    vouchers: z.array(VoucherView),
    next: Amount.describe('Ask for what comes after this.'),
    more: z.boolean().describe('There are more to ask for now.'),
    closing: z.array(ClosingLane).default([]).describe('Whose requesters ask you to close them.'),
  })
  .meta({ id: 'VoucherPage' })
export type VoucherPage = z.output<typeof VoucherPage>

const Units = z.string().regex(/^\d+$/, 'must be base units').transform(BigInt)

/** `signer` is the account's, as its contract said when the voucher was checked; `selfSigned` as in a view. Amounts are base units. */
export const KeptVoucher = z.object({
  settlement: z.object({ chainId: z.int(), address: Address }),
  receiver: Address,
  account: Hex,
  signer: Address,
  charged: Units,
  ceiling: Units,
  selfSigned: z.boolean().default(false),
  signature: Hex,
})
export type KeptVoucher = z.output<typeof KeptVoucher>
