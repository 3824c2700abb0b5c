/** The address book of one network's contracts. */
import * as z from 'zod'
import { Address } from './protocol/values.ts'

/** Where the contracts of a network are. `block` is the first that can hold an event of theirs. */
export const Deployment = z.object({
  chainId: z.number().int().positive(),
  block: z.number().int().nonnegative(),
  token: Address,
  settlement: Address,
  parameters: Address,
  registry: Address,
  court: Address,
  receiptLog: Address,
  timelock: Address,
  governor: Address,
})
export type Deployment = z.infer<typeof Deployment>

/** What a network says of its chain. */
export const ChainView = z
  .object({
    chainId: z.int(),
    deployment: Deployment.nullable().describe('Where the contracts are; null for a network without a chain.'),
    confirmations: z.int().nonnegative().describe('Blocks above a deposit before it counts.'),
    poster: Address.exactOptional().describe(
      "Posts the roots of this edge's public log to the ReceiptLog, if anybody does.",
    ),
    rpc: z.string().nullable().describe('A public RPC of the chain that clients may use, if this edge names one.'),
  })
  .meta({ id: 'Chain' })
export type ChainView = z.output<typeof ChainView>
