/** What the bodies and frames are made of, and their limits. */
import * as z from 'zod'
import { isAmount } from '../money.ts'

export const PROTOCOL_VERSION = 1

export const LIMITS = {
  /** Bytes of one request body. */
  bodyBytes: 8 * 1024 * 1024,
  /** Bytes of one task's input, as JSON. */
  inputBytes: 256 * 1024,
  /** Bytes of one task's output, two for a character and some for each value, as `sizeOf` counts them. */
  outputBytes: 1024 * 1024,
  /** The same of all results of a task that may be held against each other: with its input they fit a row of 2 MB. */
  heldBytes: 1_600_000,
  batchTasks: 1000,
  waitSeconds: 25,
  slots: 256,
  offers: 64,
  devices: 32,
  /** Bytes of one blob, and of all that an account may keep. */
  blobBytes: 100 * 1024 * 1024,
  accountBlobBytes: 4 * 1024 ** 3,
  /** Webhook endpoints of one account. */
  webhooks: 16,
} as const

export const Name = z.string().min(1).max(200)
export const Count = z.int().min(0).max(1e9)
export const Amount = z
  .string()
  .refine(isAmount, 'must be a token amount such as "0.25", not negative, at most 18 decimals')
  .describe('Tokens, as a decimal such as "0.25".')
export const Address = z
  .string()
  .regex(/^0x[0-9a-fA-F]{40}$/, 'must be an Ethereum address')
  .toLowerCase() as unknown as z.ZodType<Address, string>
export type Address = `0x${string}`
/** A time of the edge's clock. */
export const Time = z.int().describe('Unix milliseconds.')
/** A word of the chain, or a key. */
export const Bytes32 = z
  .string()
  .regex(/^0x[0-9a-f]{64}$/, 'must be 32 bytes in lower-case hex') as unknown as z.ZodType<`0x${string}`>
export const Hex = z.string().regex(/^0x[0-9a-fA-F]*$/, 'must be hex') as unknown as z.ZodType<`0x${string}`, string>

export const Region = z.enum(['wnam', 'enam', 'sam', 'weur', 'eeur', 'apac', 'oc', 'afr', 'me'])
export type Region = z.output<typeof Region>

export const Interval = z.object({ low: z.number(), mean: z.number(), high: z.number() })
export type Interval = z.output<typeof Interval>
