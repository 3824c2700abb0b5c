/** Accounts, sessions and keys. */
import * as z from 'zod'
import { Address, Amount, Hex, Time } from './values.ts'

export const SCOPES = ['tasks:write', 'tasks:read', 'account:read'] as const
export const CreateKey = z
  .strictObject({
    name: z.string().min(1).max(60),
    scopes: z
      .array(z.enum(SCOPES))
      .min(1)
      .default([...SCOPES]),
    budget: Amount.optional().describe(
      "Tokens this key may spend in all; none means the account's balance is the only bound.",
    ),
    expiresInSeconds: z.int().min(60).max(31_536_000).optional(),
  })
  .meta({ id: 'CreateKey' })
export type CreateKey = z.output<typeof CreateKey>
export type Scope = (typeof SCOPES)[number]

export const SignIn = z
  .strictObject({
    address: Address,
    audience: z.url().max(200).describe('Origin of the edge, for example https://edge.example.'),
    issuedAt: z.int().min(0).describe('Unix milliseconds; must be later than the last one this address used.'),
    signature: Hex,
  })
  .meta({ id: 'SignIn' })
export type SignIn = z.output<typeof SignIn>

export const Session = z.object({ token: z.string(), expiresAt: Time, address: Address })
export type Session = z.output<typeof Session>

export const AccountView = z
  .object({
    address: Address,
    deposited: Amount,
    free: Amount,
    held: Amount,
    spent: Amount,
    earned: Amount,
    chain: z
      .object({
        account: Hex.describe("The account's id in DaicnSettlement."),
        signer: Address.describe('The key of this edge that spends for the account; deposit for it.'),
      })
      .exactOptional()
      .describe('Where to deposit; there when the network has a chain.'),
  })
  .meta({ id: 'AccountView' })
export type AccountView = z.output<typeof AccountView>

export const KeyView = z.object({
  id: z.string(),
  name: z.string(),
  scopes: z.array(z.enum(SCOPES)),
  budget: Amount.exactOptional(),
  expiresAt: Time.exactOptional(),
  createdAt: Time,
})
export type KeyView = z.output<typeof KeyView>
