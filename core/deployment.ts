/** The address book of one network's contracts. */
import { z } from 'zod'
import { Address } from './protocol.ts'

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
