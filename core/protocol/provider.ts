/** Providers: what they register, and why they get the work they get. */
import * as z from 'zod'
import { isAsk } from '../money.ts'
import { DeviceId, Signature } from './lease.ts'
import { Preference, ReasonCounts } from './quote.ts'
import { Address, Amount, Bytes32, Count, LIMITS, Name, Region } from './values.ts'
import { Kind } from './work.ts'

export const Offer = z
  .strictObject({
    kind: Kind,
    model: Name,
    ask: Amount.refine(isAsk, 'must have at most 14 decimals, so that its fee is whole').describe(
      'Price of one unit of the kind, in tokens.',
    ),
    speed: z.number().positive().max(1e9).describe('Measured, in units a second.'),
    context: Count.optional(),
    digest: z.string().max(200).optional(),
    quantization: z.string().max(40).optional(),
    capabilities: z
      .array(z.string().min(1).max(40))
      .max(64)
      .optional()
      .describe('What it honours of an input beyond what all of its kind do.'),
  })
  .meta({ id: 'Offer' })
export type Offer = z.output<typeof Offer>

/** One that a provider computes with. */
export const Device = z
  .strictObject({
    id: DeviceId.describe('The uuid of the card, or of a part of a divided one.'),
    kind: z.enum(['nvidia', 'amd', 'apple', 'cpu']),
    name: z.string().max(120),
    memoryBytes: z.int().min(0),
    freeBytes: z.int().min(0).exactOptional().describe('Free when it registered, where that is known.'),
  })
  .meta({ id: 'Device' })
export type Device = z.output<typeof Device>

/** What a provider has earned, which nobody else is told device by device. */
export const Earnings = z
  .object({
    earned: Amount.describe('In all, less the fee of the network.'),
    devices: z
      .array(
        z.object({
          id: DeviceId,
          kind: Device.shape.kind.nullable(),
          name: z.string().nullable().describe('As it is registered; null, like `kind`, for one that is so no more.'),
          tasks: z.int().describe('Paid results that it made, alone or together with others.'),
          earned: Amount.describe('By these; of what several made together, an equal share.'),
        }),
      )
      .describe('Those that are registered, then others that earned.'),
    unknown: Amount.describe('The rest: what was paid for without a result that names its devices.'),
  })
  .meta({ id: 'Earnings' })
export type Earnings = z.output<typeof Earnings>

/** By which chats are sealed to a provider; see core/sealed.ts. */
export const SealingKey = z
  .strictObject({
    key: Bytes32,
    signature: Signature.describe("Of the EIP-712 message `SealingKey`, by the provider's key."),
  })
  .meta({ id: 'SealingKey' })
export type SealingKey = z.output<typeof SealingKey>

export const Register = z
  .strictObject({
    name: z.string().max(60).default(''),
    region: Region.optional(),
    slots: z.int().min(1).max(LIMITS.slots).describe('Tasks it can run at once, over all its offers.'),
    offers: z.array(Offer).min(1).max(LIMITS.offers),
    agent: z.string().max(60).default(''),
    devices: z.array(Device).max(LIMITS.devices).exactOptional(),
    owner: Address.exactOptional().describe(
      'Whose machine it is: told how it does, at /v1/account/providers, and nobody else.',
    ),
    sealing: SealingKey.exactOptional().describe('What is sealed to it, this provider alone can read.'),
  })
  .meta({ id: 'Register' })
export type Register = z.output<typeof Register>

/** What the agent of a simulated provider calls itself. */
export const SIMULATED = 'simulated'

export const Registered = z.object({ cell: z.string(), leaseSeconds: z.number() })
export type Registered = z.output<typeof Registered>

/** An offer as another provider may see it. */
const Rival = z.object({ provider: Address, ask: Amount, speed: z.number(), reputation: z.number() })

/** Why a provider gets the work it gets, by its offers. Reasons are codes of core/explain.ts. */
export const Why = z
  .object({
    /** Connected, or heard of in the last minute. */
    active: z.boolean(),
    /** Leases it could be given now, and those that it holds. */
    free: Count,
    leases: Count,
    /** What keeps it from any work at all. */
    advice: z.array(z.string()),
    offers: z.array(
      z.object({
        kind: Kind,
        model: Name,
        ask: Amount,
        reputation: z.number(),
        /** Its place among the offers of its class that are there, by each preference, and the one that would have won. */
        ranks: z.array(
          z.object({ preference: Preference, rank: Count, of: Count, leader: Rival, explanation: z.string() }),
        ),
        /** The first tasks of the class that wait, and why they are not given to it. */
        waiting: z.object({ tasks: Count, excluded: ReasonCounts, explanation: z.string() }),
        /** Tasks of the class among the last that the market gave out. */
        recent: z.object({
          tasks: Count,
          won: Count,
          excluded: ReasonCounts,
          /** It could have run them, but another offer had more merit; by what weighed most. */
          outranked: z.object({ price: Count, time: Count, reputation: Count }),
          /** It would have won, had it been there with a free slot. */
          missed: Count,
          /** The offer that won the latest of those it did not win. */
          winner: Rival.nullable(),
          explanation: z.string(),
        }),
      }),
    ),
  })
  .meta({ id: 'Why' })
export type Why = z.output<typeof Why>
