/** Every HTTP body and socket frame, as zod schemas. Parsed once at the edge of each program; inside, the types are total. */
import * as z from 'zod'
import { Assurance } from './assurance.ts'
import { BlobRef, Sha256 } from './blob-ref.ts'
import { bitsOf } from './capability.ts'
import { isAmount, isAsk } from './money.ts'
import { WasiInput, WasiOutput } from './wasi.ts'

export const PROTOCOL_VERSION = 1

export const LIMITS = {
  /** Bytes of one request body. */
  bodyBytes: 8 * 1024 * 1024,
  /** Bytes of one task's input, as JSON. */
  inputBytes: 256 * 1024,
  /** Bytes of one task's output, as JSON. */
  outputBytes: 1024 * 1024,
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

const Name = z.string().min(1).max(200)
const Count = z.int().min(0).max(1e9)
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
export const Hex = z.string().regex(/^0x[0-9a-fA-F]*$/, 'must be hex') as unknown as z.ZodType<`0x${string}`, string>

/* Blobs: content that an account uploads once and then names by its hash */

export const BlobView = z
  .object({
    sha256: Sha256,
    bytes: Count,
    contentType: z.string(),
    keptUntil: z
      .int()
      .describe('Unix milliseconds until which it is kept; a task that refers to it moves this past its deadline.'),
  })
  .meta({ id: 'BlobView' })
export type BlobView = z.output<typeof BlobView>

export const BlobPath = z.object({ sha256: Sha256 })

/* Kinds of work */

const ChatMessage = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: z.union([z.string(), z.array(z.looseObject({ type: z.string() })), z.null()]).optional(),
})

/**
 * Inputs by kind. `llm.chat` takes the fields of an OpenAI chat request and hands on those it does not know; what a provider must
 * honour for that is in core/capability.ts.
 */
export const INPUTS = {
  'llm.chat': z.looseObject({
    messages: z.array(ChatMessage).min(1).max(2048),
    max_tokens: z.int().min(1).max(131_072).optional(),
    max_completion_tokens: z.int().min(1).max(131_072).optional(),
    temperature: z.number().min(0).max(2).optional(),
    top_p: z.number().min(0).max(1).optional(),
    stop: z.union([z.string(), z.array(z.string()).max(4)]).optional(),
    seed: z.int().optional(),
    n: z.int().min(1).max(16).optional(),
    frequency_penalty: z.number().min(-2).max(2).optional(),
    presence_penalty: z.number().min(-2).max(2).optional(),
    logprobs: z.union([z.boolean(), z.int().min(0).max(20)]).optional(),
    top_logprobs: z.int().min(0).max(20).optional(),
    tools: z
      .array(z.looseObject({ type: z.string() }))
      .max(128)
      .optional(),
    response_format: z.looseObject({ type: z.enum(['text', 'json_object', 'json_schema']) }).optional(),
    /** Go on with the text of the messages as it is, without a chat format. */
    raw: z.boolean().optional(),
  }),
  'text.embed': z.strictObject({
    texts: z.array(z.string().min(1)).min(1).max(64),
    dimensions: z.int().min(1).max(65_536).optional(),
  }),
  'doc.ocr': z.strictObject({
    image: z.union([z.base64().min(1), BlobRef]).describe('Base64 of a PNG or JPEG, or a reference to one.'),
    mediaType: z.enum(['image/png', 'image/jpeg']),
  }),
  'wasi.run': WasiInput,
} as const

export type Kind = keyof typeof INPUTS
export const KINDS = Object.keys(INPUTS) as Kind[]
export const Kind = z.enum(['llm.chat', 'text.embed', 'doc.ocr', 'wasi.run'])
export type InputOf<K extends Kind> = z.output<(typeof INPUTS)[K]>

/** One choice; what goes beyond our own fields has OpenAI's names. */
const ChatChoice = z.looseObject({
  content: z.string().nullable(),
  finishReason: z.string(),
  tool_calls: z.array(z.looseObject({})).optional(),
  logprobs: z.looseObject({}).nullable().optional(),
})
export type ChatChoice = z.output<typeof ChatChoice>

/** Outputs by kind. */
export const OUTPUTS = {
  'llm.chat': ChatChoice.extend({
    /** The further choices of a request for more than one. */
    alternatives: z.array(ChatChoice).max(15).optional(),
  }),
  'text.embed': z.strictObject({ embeddings: z.array(z.array(z.number())).min(1) }),
  'doc.ocr': z.strictObject({ text: z.string(), confidence: z.number().min(0).max(1) }),
  'wasi.run': WasiOutput,
} as const
export type OutputOf<K extends Kind> = z.output<(typeof OUTPUTS)[K]>

/** The part of a stream that was already delivered: its text, and how many output tokens that is. */
export const Prefix = z.object({ text: z.string(), tokens: z.int() })
export type Prefix = z.output<typeof Prefix>

export const Usage = z.object({ inputTokens: Count, outputTokens: Count })
export type Usage = z.output<typeof Usage>

export const Region = z.enum(['wnam', 'enam', 'sam', 'weur', 'eeur', 'apac', 'oc', 'afr', 'me'])
export type Region = z.output<typeof Region>

/* Requester */

export const Preference = z.enum(['cheapest', 'fastest', 'balanced'])
export type Preference = z.output<typeof Preference>

export const SubmitTask = z
  .strictObject({
    kind: z.string().describe('llm.chat, text.embed, doc.ocr or wasi.run.'),
    model: Name.optional().describe(
      '`name`, or `name@digest` for exactly these weights; none: any model of this kind.',
    ),
    input: z.record(z.string(), z.unknown()).describe('What the kind takes.'),
    maxPrice: Amount.optional().describe(
      'The most the task may cost, in tokens; held at submit, and only what was metered is captured.',
    ),
    preference: Preference.default('balanced'),
    requirements: z
      .strictObject({
        minReputation: z.number().min(0).max(1).default(0),
        region: Region.optional(),
        minContext: Count.optional(),
        /** The coarsest quantisation to accept, as in "Q8_0"; a provider that does not name its own has none. */
        minQuantization: z
          .string()
          .refine((name) => bitsOf(name) !== null, 'must name a quantisation such as "Q4_K_M", "FP8" or "BF16"')
          .optional(),
        exclude: z.array(Address).max(64).default([]),
      })
      .prefault({}),
    deadlineSeconds: z.int().min(1).max(86_400).default(600),
    maxAttempts: z.int().min(1).max(10).default(3),
    stream: z.boolean().default(false).describe("Keep the output's stream for watchers of GET /v1/tasks/{id}/events."),
    assurance: Assurance.optional().describe('How sure you want to be of the result; none unless told.'),
    webhook: z
      .string()
      .min(1)
      .max(40)
      .optional()
      .describe('Id of the endpoint of POST /v1/webhooks that is told when the task has ended.'),
  })
  .meta({ id: 'SubmitTask' })
export type SubmitTask = z.output<typeof SubmitTask>

/** One task, or many in one request. */
export const SubmitTasks = z.union([SubmitTask, z.array(SubmitTask).min(1).max(LIMITS.batchTasks)])

export const IdempotencyHeaders = z.object({
  'idempotency-key': z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, 'Idempotency-Key must be 1 to 255 visible ASCII characters')
    .optional()
    .describe('Of your choice: a submission sent again with the same key is answered with the same tasks for a day.'),
})

export const WaitQuery = z.object({
  waitSeconds: z
    .string()
    .regex(/^\d{1,9}(\.\d{1,9})?$/, 'must be a number of seconds')
    .transform((seconds) => Math.min(Number(seconds), LIMITS.waitSeconds))
    .optional()
    .describe(`Answer when the tasks have ended, or after this many seconds, at most ${LIMITS.waitSeconds}.`),
})

export const TASK_STATUSES = [
  'queued',
  'leased',
  'running',
  'verifying',
  'succeeded',
  'failed',
  'cancelled',
  'expired',
] as const
export const TaskStatus = z.enum(TASK_STATUSES)
export type TaskStatus = z.output<typeof TaskStatus>

export const isEnded = (status: TaskStatus): boolean =>
  status !== 'queued' && status !== 'leased' && status !== 'running' && status !== 'verifying'

export const TaskError = z.object({ code: z.string(), message: z.string() })
export type TaskError = z.output<typeof TaskError>

/** Counts of providers or of tasks by the reason's code; see core/explain.ts. */
const ReasonCounts = z.record(z.string(), Count)

/** What a task would cost and how long it would wait, were it submitted now. Formulas in core/quote.ts; null is not known. */
export const Quote = z
  .object({
    kind: Kind,
    /** Null when no model is named and nobody offers this kind of work. */
    model: z.string().nullable(),
    /** Providers that may run it, the busy ones too. */
    candidates: Count,
    /** The most that would be held, and what it will likely come to. */
    price: z.object({ ceiling: Amount, expected: Amount.nullable() }),
    /** Milliseconds until it starts; slots of the candidates, those free now, and tasks of the class that come before it. */
    wait: z.object({
      p50Ms: z.int().min(0).nullable(),
      p90Ms: z.int().min(0).nullable(),
      basis: z
        .enum(['learned', 'formula'])
        .describe(
          "Learned from how long the class's tasks waited, or reckoned from the queue and their mean run time.",
        ),
      free: Count,
      slots: Count,
      ahead: Count,
    }),
    finish: z
      .object({ p50Ms: z.int().min(0), p90Ms: z.int().min(0) })
      .nullable()
      .describe("Milliseconds until it is finished, learned from the class's tasks; null while that is too little."),
    /** Providers that may not run it, each counted once, by the first filter that it fails. */
    assurance: z
      .object({
        level: z.enum(['spot', 'quorum']),
        /** Candidates are enough for the fewest results. */
        enough: z.boolean(),
        results: z.object({ least: Count, expected: z.number(), most: Count }),
        detection: z.number().describe('The chance that a wrong result which no other provider gives too is caught.'),
        collusion: z
          .array(z.object({ share: z.number(), detection: z.number() }))
          .describe('The same where this share of the candidates gives the same wrong result.'),
      })
      .nullable()
      .describe('What its assurance takes; null where there is none. Formulas in docs/trust.md.'),
    excluded: ReasonCounts,
    /** When there is no candidate, the filter that left nobody. */
    failing: z.string().nullable(),
    /** When there is none but would be for more money, the least maxPrice that would do. */
    leastMaxPrice: Amount.nullable(),
    explanation: z.string(),
  })
  .meta({ id: 'Quote' })
export type Quote = z.output<typeof Quote>

/**
 * What one attempt at a task came to, as shown to its requester; `units` and `price` are there when it was paid: for its result,
 * or for what it delivered of a stream before it ended.
 */
export const AttemptView = z.object({
  number: z.int(),
  provider: Address,
  state: z
    .enum(['granted', 'started', 'delivered', 'succeeded', 'refuted', 'failed', 'lost', 'superseded'])
    .describe('Delivered: its result waits for others to agree with. Refuted: others agreed on another result.'),
  grantedAt: Time,
  startedAt: Time.exactOptional(),
  endedAt: Time.exactOptional(),
  error: TaskError.exactOptional(),
  units: z.number().exactOptional(),
  price: Amount.exactOptional(),
})
export type AttemptView = z.output<typeof AttemptView>

/** A task as shown to its requester. */
export const TaskView = z
  .object({
    id: z.string(),
    kind: Kind,
    model: z.string(),
    status: TaskStatus,
    createdAt: Time,
    finishedAt: Time.exactOptional(),
    provider: Address.exactOptional().describe('Who runs it, or ran it.'),
    maxPrice: Amount,
    price: Amount.exactOptional().describe('Tokens captured for it, once it has ended.'),
    units: z.number().exactOptional().describe('What was metered, in the units of its kind.'),
    usage: Usage.exactOptional(),
    assurance: z
      .object({ level: z.enum(['spot', 'quorum']), results: z.int(), agreed: z.int() })
      .exactOptional()
      .describe('Results that came, and how many of them agreed; 0 until it has succeeded.'),
    attempts: z.array(AttemptView),
    output: z.unknown().exactOptional().describe('What the kind gives, when it has succeeded.'),
    error: TaskError.exactOptional(),
  })
  .meta({ id: 'TaskView' })
export type TaskView = z.output<typeof TaskView>

export const TaskViews = z.object({ tasks: z.array(TaskView) })

/**
 * What a watcher of one task is told, in order. The event id of an output is `<attempt>.<index + 1>`, the cursor from which
 * a watcher that lost its connection resumes; the other events repeat the state, so they need none. `offset` is where the delta
 * begins in the task's whole text, in UTF-16 units: a later attempt goes on where the last one ended.
 */
export const WatchEvent = z
  .discriminatedUnion('type', [
    z.object({
      type: z.literal('status'),
      status: TaskStatus,
      at: Time,
      attempt: z.int().exactOptional(),
      provider: Address.exactOptional(),
    }),
    z.object({ type: z.literal('output'), attempt: z.int(), index: z.int(), offset: z.int(), delta: z.string() }),
    z.object({ type: z.literal('done'), task: TaskView }),
  ])
  .meta({ id: 'WatchEvent' })
export type WatchEvent = z.output<typeof WatchEvent>

/* Provider */

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
    id: z.string().min(1).max(100).describe('The uuid of the card, or of a part of a divided one.'),
    kind: z.enum(['nvidia', 'amd', 'apple', 'cpu']),
    name: z.string().max(120),
    memoryBytes: z.int().min(0),
    freeBytes: z.int().min(0).exactOptional().describe('Free when it registered, where that is known.'),
  })
  .meta({ id: 'Device' })
export type Device = z.output<typeof Device>

export const Register = z
  .strictObject({
    name: z.string().max(60).default(''),
    region: Region.optional(),
    slots: z.int().min(1).max(LIMITS.slots).describe('Tasks it can run at once, over all its offers.'),
    offers: z.array(Offer).min(1).max(LIMITS.offers),
    agent: z.string().max(60).default(''),
    devices: z.array(Device).max(LIMITS.devices).exactOptional(),
  })
  .meta({ id: 'Register' })
export type Register = z.output<typeof Register>

/** What the agent of a simulated provider calls itself. */
export const SIMULATED = 'simulated'

export const Registered = z.object({ cell: z.string(), leaseSeconds: z.number() })
export type Registered = z.output<typeof Registered>

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
    deltas: z.array(z.string().min(1).max(65_536)).min(1).max(1000),
    tokens: z
      .array(Count)
      .max(1000)
      .optional()
      .describe('Output tokens of each delta, one when left out: an attempt that gets no further is paid by them.'),
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

export const OutputAnswer = z
  .object({ next: z.int().describe('The index of the delta it wants next.') })
  .meta({ id: 'OutputAnswer' })
export type OutputAnswer = z.output<typeof OutputAnswer>

/* Accounts and keys */

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

/* Webhooks */

export const CreateWebhook = z
  .strictObject({
    url: z
      .string()
      .max(2048)
      .describe('Where messages are sent; https, and an address that is public, except on development networks.'),
  })
  .meta({ id: 'CreateWebhook' })

export const WebhookView = z
  .object({
    id: z.string(),
    url: z.string(),
    createdAt: Time,
    disabledAt: Time.exactOptional().describe('When it answered 410 Gone, after which nothing is sent to it.'),
  })
  .meta({ id: 'WebhookView' })
export type WebhookView = z.output<typeof WebhookView>

export const WebhookEvent = z.enum(['task.succeeded', 'task.failed', 'task.cancelled', 'task.expired'])
export type WebhookEvent = z.output<typeof WebhookEvent>

export const DeliveryView = z
  .object({
    id: z.string().describe('The `webhook-id` of all its attempts.'),
    event: WebhookEvent,
    task: z.string(),
    state: z.enum(['pending', 'delivered', 'failed']),
    createdAt: Time,
    attempts: Count,
    nextAttemptAt: Time.exactOptional(),
    status: z.int().exactOptional().describe('HTTP status of the last attempt.'),
    failure: z.string().exactOptional().describe('Why it had none.'),
  })
  .meta({ id: 'DeliveryView' })
export type DeliveryView = z.output<typeof DeliveryView>

/* Network */

export const Interval = z.object({ low: z.number(), mean: z.number(), high: z.number() })
export type Interval = z.output<typeof Interval>

/** The five headline metrics; formulas in core/health.ts. Null means not known yet. */
export const Metrics = z.object({
  totalProviders: z.int(),
  activeProviders: z.int(),
  totalTasks: z.int(),
  averageReputation: z.number().nullable(),
  healthScore: z.number().nullable(),
})
export type Metrics = z.output<typeof Metrics>

/** One finished or open task as the public sees it: no input, no output, no requester. */
export const TaskSummary = z.object({
  id: z.string(),
  kind: Kind,
  model: z.string(),
  status: TaskStatus,
  createdAt: Time,
  provider: Address.exactOptional(),
  waitMs: z.number().exactOptional().describe('From submit to the first grant.'),
  runMs: z.number().exactOptional().describe('From that grant to the end.'),
  price: Amount.exactOptional(),
})
export type TaskSummary = z.output<typeof TaskSummary>

/** Counts of one minute of the market. */
export const Minute = z.object({
  at: Time.describe('Its start, a multiple of 60,000.'),
  submitted: z.int(),
  succeeded: z.int(),
  failed: z.int(),
  waitP50Ms: z.number().nullable().describe('Upper bound of the wait of half of the tasks granted in this minute.'),
  waitP95Ms: z.number().nullable().describe('The same of 95 % of them.'),
  volume: Amount.describe('Sum of prices captured, in tokens.'),
})
export type Minute = z.output<typeof Minute>

/** A minute as the history keeps it, with the headline metrics at its end where they were known. */
export const HistoryMinute = Minute.extend({
  cell: z.string(),
  totalProviders: z.int().nullable(),
  activeProviders: z.int().nullable(),
  averageReputation: z.number().nullable(),
  healthScore: z.number().nullable(),
})

const TimeText = z
  .string()
  .regex(/^\d{1,15}$/, 'must be Unix milliseconds')
  .transform(Number)
export const SeriesQuery = z.object({
  from: TimeText.optional().describe('Unix milliseconds; a day before `to` when left out.'),
  to: TimeText.optional().describe('Unix milliseconds; now when left out.'),
})

/* Forecasts */

const Basis = z
  .enum(['early', 'learned'])
  .describe('Early: less than forty outcomes of its kind have been seen, and p10 to p90 is wide for that reason.')
const Quantiles = z.object({ p10: z.number(), p50: z.number(), p90: z.number(), basis: Basis })

export const ForecastQuery = z.object({
  kind: Kind.optional(),
  model: Name.optional(),
})

/** What is ahead of one class of work. Null is not known. */
export const ClassForecast = z.object({
  kind: Kind,
  model: z.string(),
  providers: Count.describe('Those that offer it now.'),
  demand: z
    .object({
      latest: z.number().describe('Tasks submitted in the latest ten minutes that were counted.'),
      tenMinutes: Quantiles,
      hour: Quantiles,
      day: Quantiles,
    })
    .nullable()
    .describe('Tasks submitted in the ten minutes, the hour and the day from `from` on.'),
  price: z
    .object({
      unit: z.string(),
      latest: Amount.describe('Sum of prices / sum of units of the latest ten minutes that sold any.'),
      hour: z.object({ p10: Amount, p50: Amount, p90: Amount, basis: Basis }).describe('The mean of the next hour.'),
    })
    .nullable()
    .describe('Index price of a unit, in tokens.'),
  waitMs: Quantiles.nullable().describe(
    'Milliseconds until a task submitted now by somebody with none waiting starts.',
  ),
  finishMs: Quantiles.nullable().describe('Milliseconds until it is finished.'),
})
export type ClassForecast = z.output<typeof ClassForecast>

export const ForecastView = z
  .object({
    at: Time,
    from: Time.nullable().describe('Up to when demand and prices were counted; null before the first count.'),
    classes: z.array(ClassForecast).describe('Every class that was ever offered, by kind and model.'),
  })
  .meta({ id: 'Forecast' })
export type ForecastView = z.output<typeof ForecastView>

/** One component of the Network Health Score: value in 0..1, or null when there is nothing to measure. */
export const HealthComponent = z.object({
  name: z.string(),
  label: z.string(),
  weight: z.number(),
  value: z.number().nullable(),
  formula: z.string(),
})
export type HealthComponent = z.output<typeof HealthComponent>

export const ProviderSummary = z.object({
  address: Address,
  name: z.string(),
  active: z.boolean(),
  region: Region.exactOptional(),
  reputation: Interval,
  slots: z.int(),
  busy: z.int(),
  offers: z.array(z.object({ kind: Kind, model: z.string(), ask: Amount, speed: z.number(), reputation: Interval })),
  devices: z.array(Device.omit({ id: true })).exactOptional(),
  succeeded: z.int(),
  failed: z.int(),
  earned: Amount,
})
export type ProviderSummary = z.output<typeof ProviderSummary>

export const NetworkSnapshot = z
  .object({
    at: Time,
    metrics: Metrics,
    reputation: Interval.nullable().describe(
      "90 % interval of the average reputation's providers' means, or null without providers.",
    ),
    health: z.array(HealthComponent),
    status: z.record(TaskStatus, z.int()),
    minutes: z.array(Minute).describe('The last 60, oldest first, without gaps.'),
    latest: z.array(TaskSummary).describe('Latest first, at most 20.'),
    simulated: z.boolean().describe('Some of the active providers are simulated, and say so.'),
    providers: z.array(ProviderSummary),
  })
  .meta({ id: 'NetworkSnapshot' })
export type NetworkSnapshot = z.output<typeof NetworkSnapshot>

const Changes = NetworkSnapshot.partial() as unknown as z.ZodType<Partial<NetworkSnapshot>>

/** Frames of GET /v1/network/socket. `seq` grows by one a frame; on a gap, reconnect for a new snapshot. */
export const NetworkFrame = z
  .discriminatedUnion('type', [
    z.object({ seq: z.int(), type: z.literal('snapshot'), snapshot: NetworkSnapshot }),
    z.object({ seq: z.int(), type: z.literal('delta'), changes: Changes }),
  ])
  .meta({ id: 'NetworkFrame' })
export type NetworkFrame = z.output<typeof NetworkFrame>

const Milliseconds = z.number().nullable()
/** Upper bounds for half and for 95 % of a model's late tasks: from submission to the first grant, and from a grant to success. */
export const ModelLatency = z.object({
  waitP50Ms: Milliseconds,
  waitP95Ms: Milliseconds,
  runP50Ms: Milliseconds,
  runP95Ms: Milliseconds,
})
export type ModelLatency = z.output<typeof ModelLatency>

/** A model as OpenAI's clients list it, with what its active providers say of it. */
export const ModelView = z
  .object({
    id: z.string(),
    object: z.literal('model'),
    /** Unix seconds. */
    created: z.int(),
    owned_by: z.literal('daicn'),
    kind: Kind,
    providers: z.int(),
    /** Lowest ask of an active provider, tokens per unit. */
    ask: z.string().nullable(),
    /** Lowest and highest ask, tokens per `unit`; see core/pricing.ts. */
    price: z.object({ unit: z.string(), least: z.string(), most: z.string() }).nullable(),
    /** The longest context, in tokens. */
    context: z.int().nullable(),
    quantizations: z.array(z.string()),
    /** Any of them can be asked for as `id@digest`. */
    digests: z.array(z.string()),
    /** What some provider honours of a request beyond what all do. */
    capabilities: z.array(z.string()),
    /** Highest measured speed, units a second. */
    speed: z.number().nullable(),
    latency: ModelLatency,
  })
  .meta({ id: 'Model' })
export type ModelView = z.output<typeof ModelView>
export const ModelList = z.object({ object: z.literal('list'), data: z.array(ModelView) }).meta({ id: 'ModelList' })

export const Health = z.object({
  ok: z.literal(true),
  chainId: z.int(),
  court: Address.describe('The contract whose proofs receipts are; the zero address where there is none.'),
  address: Address.describe('Whose key countersigns receipts.'),
  development: z.boolean(),
  protocol: z.int(),
})

/** A market's money, in tokens: drawn = restored + held + available + captured, and captured = earned + fees. */
export const BooksView = z
  .record(z.enum(['drawn', 'restored', 'held', 'available', 'captured', 'earned', 'fees']), Amount)
  .meta({ id: 'BooksView' })
export type BooksView = z.output<typeof BooksView>
