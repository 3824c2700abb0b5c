/** Leases: how a provider asks for work, tells its output and hands in results. */
import * as z from 'zod'
import { ChatPiece } from './chat-piece.ts'
import { Address, Amount, Count, Hex, LIMITS, Time } from './values.ts'
import { Kind, Prefix, Usage } from './work.ts'

const Mark = Count.describe(
  'Said back in the answer to the poll that has it, and in no other: from then on the edge counts on no more than its `free`.',
)
export const DeviceId = z.string().min(1).max(100)
const LeaseId = z.string().min(3).max(80)
const TaskErrorSchema = z.strictObject({ code: z.string().min(1).max(60), message: z.string().max(2000) })

/** A value has one spelling, so that no byte of a receipt can be changed without being noticed. */
export const Signature = z
  .string()
  .regex(
    /^0x[0-9a-f]{128}1[bc]$/,
    'must be a 65-byte signature in lower-case hex',
  ) as unknown as z.ZodType<`0x${string}`>

/** A provider's signature of its receipt (core/receipt.ts), and what of the signed message the edge cannot know before. */
export const Signed = z.strictObject({
  units: z.int().min(0).describe('A result whose units the edge meters otherwise fails as `receipt_mismatch`.'),
  finishedAt: z.int().min(0).multipleOf(1000).describe('Unix milliseconds, whole seconds.'),
  signature: Signature,
})
export type Signed = z.output<typeof Signed>

export const Result = z
  .strictObject({
    lease: LeaseId,
    outcome: z.discriminatedUnion('status', [
      z.strictObject({
        status: z.literal('succeeded'),
        output: z.record(z.string(), z.unknown()),
        usage: Usage,
        devices: z
          .array(DeviceId)
          .min(1)
          .max(LIMITS.devices)
          .exactOptional()
          .describe(
            'Ids of the registered devices that made it, for `GET /v1/provider/earnings`; with one that is not registered, none counts.',
          ),
        signed: Signed.optional().describe("The provider's part of the receipt; without it there is none."),
      }),
      z.strictObject({ status: z.literal('failed'), error: TaskErrorSchema }),
      /** The agent gives the lease back unharmed, for example because it is shutting down. */
      z.strictObject({ status: z.literal('returned') }),
    ]),
  })
  .meta({ id: 'Result' })
export type Result = z.output<typeof Result>

/**
 * One call does it all: hand in results, renew what is still running, ask for more.
 * `seen` is the highest lease `seq` received so far; leases above it are delivered again, so a lost answer loses nothing.
 * A lease at or below `seen` that is neither renewed nor answered is taken as dropped by the agent and goes to somebody else.
 */
export const Poll = z
  .strictObject({
    free: z.int().min(0).max(LIMITS.slots).describe('Further leases the agent can take now, beyond those in `renew`.'),
    seen: Count.default(0).describe('The highest lease `seq` received so far; leases above it are delivered again.'),
    results: z.array(Result).max(LIMITS.slots).default([]),
    renew: z.array(LeaseId).max(LIMITS.slots).default([]),
    waitSeconds: z.number().min(0).max(LIMITS.waitSeconds).default(0),
    mark: Mark.exactOptional(),
  })
  .meta({ id: 'Poll' })
export type Poll = z.output<typeof Poll>

export const LeaseTerms = z
  .object({ requester: Address, ask: Amount.describe('Tokens a unit.'), digest: z.string().nullable() })
  .describe('What a receipt says besides: for whom, at what price, and the digest under which the model was offered.')

export const Lease = z
  .object({
    id: z.string().describe('`<task id>.<attempt number>`; the attempt number is the fencing token.'),
    seq: z.int(),
    kind: Kind,
    model: z.string(),
    input: z.record(z.string(), z.unknown()),
    maxUnits: z.number().describe('The most units that will be paid for the whole task.'),
    prefix: Prefix.exactOptional().describe(
      "What earlier attempts delivered of the stream: go on from there. Output and result hold only what follows, and `usage` counts the prefix neither as input nor as output; the task's own limits, such as max_tokens, include it.",
    ),
    stream: z.boolean().describe('Deliver output as it comes, to /v1/leases/{id}/output.'),
    terms: LeaseTerms.exactOptional(),
    account: Hex.exactOptional().describe(
      'The account on the chain that pays, where its requester signs for it itself.',
    ),
    expiresAt: Time.describe("Renew before this; Unix milliseconds by the edge's clock."),
  })
  .meta({ id: 'Lease' })
export type Lease = z.output<typeof Lease>

export const ResultReceipt = z.object({
  lease: z.string(),
  accepted: z.boolean(),
  code: z.string().exactOptional().describe('Why not, when it was not accepted.'),
})
export type ResultReceipt = z.output<typeof ResultReceipt>

export const PollAnswer = z
  .object({
    leases: z.array(Lease),
    results: z.array(ResultReceipt),
    revoked: z
      .array(z.string())
      .describe('Leases to stop working on: their task was cancelled, has ended, or went to another provider.'),
    now: Time.describe("The edge's clock, Unix milliseconds."),
    mark: Mark.exactOptional(),
  })
  .meta({ id: 'PollAnswer' })
export type PollAnswer = z.output<typeof PollAnswer>

/** Frames that an edge sends to a provider's socket. */
export const EdgeFrame = z
  .discriminatedUnion('type', [
    PollAnswer.extend({ type: z.literal('answer') }),
    z.object({ type: z.literal('error'), problem: z.object({ code: z.string(), title: z.string() }) }),
  ])
  .meta({ id: 'EdgeFrame' })
export type EdgeFrame = z.output<typeof EdgeFrame>

/** Frames an agent sends to GET /v1/leases/:id/output. */
export const OutputFrame = z
  .strictObject({
    from: Count.describe('The index of the first delta, so that repeats are harmless.'),
    deltas: z
      .array(z.string().max(65_536))
      .min(1)
      .max(1000)
      .describe(
        'The text as it goes on, of a chat that of its first choice; empty where only something beside it does.',
      ),
    tokens: z
      .array(Count)
      .max(1000)
      .optional()
      .describe('Output tokens of each delta, one when left out: an attempt that gets no further is paid by them.'),
    beside: z
      .array(ChatPiece.nullable())
      .max(1000)
      .optional()
      .describe('What of a chat came with each delta beside its text: tool calls, further choices, log probabilities.'),
  })
  .meta({ id: 'OutputFrame' })
export type OutputFrame = z.output<typeof OutputFrame>

/**
 * Frames of GET /v1/provider/socket. The text 'ping' is answered by 'pong' without waking the market. `output` has no answer: it
 * is for the first of a lease's output, while the socket that carries it all is still opening.
 */
export const ProviderFrame = z
  .discriminatedUnion('type', [
    Poll.omit({ waitSeconds: true }).extend({ type: z.literal('poll') }),
    OutputFrame.extend({ type: z.literal('output'), lease: LeaseId }),
  ])
  .meta({ id: 'ProviderFrame' })
export type ProviderFrame = z.output<typeof ProviderFrame>

export const OutputAnswer = z
  .object({ next: z.int().describe('The index of the delta it wants next.') })
  .meta({ id: 'OutputAnswer' })
export type OutputAnswer = z.output<typeof OutputAnswer>
