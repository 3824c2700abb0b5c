/** Every HTTP body and socket frame, as zod schemas. Parsed once at the edge of each program; inside, the types are total. */
import { z } from 'zod'
import { bitsOf } from './capability.ts'
import { isAmount } from './money.ts'

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
  /** Bytes of one blob, and of all that an account may keep. */
  blobBytes: 100 * 1024 * 1024,
  accountBlobBytes: 4 * 1024 ** 3,
  /** Webhook endpoints of one account. */
  webhooks: 16,
} as const

const Name = z.string().min(1).max(200)
const Count = z.int().min(0).max(1e9)
const Amount = z.string().refine(isAmount, 'must be a token amount such as "0.25", not negative, at most 18 decimals')
export const Address = z
  .string()
  .regex(/^0x[0-9a-fA-F]{40}$/, 'must be an Ethereum address')
  .transform((address) => address.toLowerCase() as Address)
export type Address = `0x${string}`
const Hex = z.string().regex(/^0x[0-9a-fA-F]*$/, 'must be hex') as unknown as z.ZodType<`0x${string}`>

/* Blobs: content that an account uploads once and then names by its hash */

export const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in lower-case hex')

/** In an input, in the place of content that was uploaded to /v1/blobs. */
export const BlobRef = z.strictObject({ sha256: Sha256 })

export const BlobView = z
  .object({
    sha256: Sha256,
    bytes: Count,
    contentType: z.string(),
    /** Unix milliseconds until which it is kept; a task that refers to it moves this past its deadline. */
    keptUntil: z.int(),
  })
  .meta({ id: 'BlobView' })
export type BlobView = z.output<typeof BlobView>

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
    /** Base64 of a PNG or JPEG, or a reference to one. */
    image: z.union([z.base64().min(1), BlobRef]),
    mediaType: z.enum(['image/png', 'image/jpeg']),
  }),
} as const

export type Kind = keyof typeof INPUTS
export const KINDS = Object.keys(INPUTS) as Kind[]
export const Kind = z.enum(['llm.chat', 'text.embed', 'doc.ocr'])
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
} as const
export type OutputOf<K extends Kind> = z.output<(typeof OUTPUTS)[K]>

/** The part of a stream that was already delivered: its text, and how many output tokens that is. */
export type Prefix = { text: string; tokens: number }

export const Usage = z.object({ inputTokens: Count, outputTokens: Count })
export type Usage = z.output<typeof Usage>

export const Region = z.enum(['wnam', 'enam', 'sam', 'weur', 'eeur', 'apac', 'oc', 'afr', 'me'])
export type Region = z.output<typeof Region>

/* Requester */

export const Preference = z.enum(['cheapest', 'fastest', 'balanced'])
export type Preference = z.output<typeof Preference>

export const SubmitTask = z
  .strictObject({
    kind: z.string(),
    /** `name`, or `name@digest` for exactly these weights. */
    model: Name.optional(),
    input: z.record(z.string(), z.unknown()),
    /** The most the task may cost, in tokens; held at submit, and only what was metered is captured. */
    maxPrice: Amount.optional(),
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
    /** Keep the output's stream for watchers of GET /v1/tasks/:id/events. */
    stream: z.boolean().default(false),
    /** Id of the endpoint of POST /v1/webhooks that is told when the task has ended. */
    webhook: z.string().min(1).max(40).optional(),
  })
  .meta({ id: 'SubmitTask' })
export type SubmitTask = z.output<typeof SubmitTask>

export const TASK_STATUSES = ['queued', 'leased', 'running', 'succeeded', 'failed', 'cancelled', 'expired'] as const
export type TaskStatus = (typeof TASK_STATUSES)[number]

export const isEnded = (status: TaskStatus): boolean =>
  status !== 'queued' && status !== 'leased' && status !== 'running'

export type TaskError = { code: string; message: string }

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
      free: Count,
      slots: Count,
      ahead: Count,
    }),
    /** Providers that may not run it, each counted once, by the first filter that it fails. */
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
 * What one attempt at a task came to, as shown to its requester. Times are Unix milliseconds; `units` and `price` are there
 * when it was paid: for its result, or for what it delivered of a stream before it ended.
 */
export type AttemptView = {
  number: number
  provider: Address
  state: 'granted' | 'started' | 'succeeded' | 'failed' | 'lost' | 'superseded'
  grantedAt: number
  startedAt?: number
  endedAt?: number
  error?: TaskError
  units?: number
  price?: string
}

/** A task as shown to its requester. Amounts are decimal tokens. */
export type TaskView = {
  id: string
  kind: Kind
  model: string
  status: TaskStatus
  createdAt: number
  finishedAt?: number
  provider?: Address
  maxPrice: string
  price?: string
  units?: number
  usage?: Usage
  attempts: AttemptView[]
  output?: unknown
  error?: TaskError
}

/**
 * What a watcher of one task is told, in order. The event id of an output is `<attempt>.<index + 1>`, the cursor from which
 * a watcher that lost its connection resumes; the other events repeat the state, so they need none. `offset` is where the delta
 * begins in the task's whole text, in UTF-16 units: a later attempt goes on where the last one ended.
 */
export type WatchEvent =
  | { type: 'status'; status: TaskStatus; at: number; attempt?: number; provider?: Address }
  | { type: 'output'; attempt: number; index: number; offset: number; delta: string }
  | { type: 'done'; task: TaskView }

/* Provider */

export const Offer = z.strictObject({
  kind: Kind,
  model: Name,
  /** Price of one unit, in tokens. Units are defined per kind in core/pricing.ts. */
  ask: Amount,
  /** Measured speed, units per second. */
  speed: z.number().positive().max(1e9),
  context: Count.optional(),
  digest: z.string().max(200).optional(),
  quantization: z.string().max(40).optional(),
  /** What it honours of an input beyond what all of its kind do; see core/capability.ts. */
  capabilities: z.array(z.string().min(1).max(40)).max(64).optional(),
})
export type Offer = z.output<typeof Offer>

export const Register = z.strictObject({
  name: z.string().max(60).default(''),
  region: Region.optional(),
  /** Tasks it can run at once, over all its offers. */
  slots: z.int().min(1).max(LIMITS.slots),
  offers: z.array(Offer).min(1).max(LIMITS.offers),
  agent: z.string().max(60).default(''),
})
export type Register = z.output<typeof Register>

const LeaseId = z.string().min(3).max(80)
const TaskErrorSchema = z.strictObject({ code: z.string().min(1).max(60), message: z.string().max(2000) })

export const Result = z.strictObject({
  lease: LeaseId,
  outcome: z.discriminatedUnion('status', [
    z.strictObject({ status: z.literal('succeeded'), output: z.record(z.string(), z.unknown()), usage: Usage }),
    z.strictObject({ status: z.literal('failed'), error: TaskErrorSchema }),
    /** The agent gives the lease back unharmed, for example because it is shutting down. */
    z.strictObject({ status: z.literal('returned') }),
  ]),
})
export type Result = z.output<typeof Result>

/**
 * One call does it all: hand in results, renew what is still running, ask for more.
 * `seen` is the highest lease `seq` received so far; leases above it are delivered again, so a lost answer loses nothing.
 * A lease at or below `seen` that is neither renewed nor answered is taken as dropped by the agent and goes to somebody else.
 */
export const Poll = z.strictObject({
  /** Further leases the agent can take now, over and above those in `renew`. */
  free: z.int().min(0).max(LIMITS.slots),
  seen: Count.default(0),
  results: z.array(Result).max(LIMITS.slots).default([]),
  renew: z.array(LeaseId).max(LIMITS.slots).default([]),
  waitSeconds: z.number().min(0).max(LIMITS.waitSeconds).default(0),
})
export type Poll = z.output<typeof Poll>

export type Lease = {
  /** `<task id>.<attempt number>`; the attempt number is the fencing token. */
  id: string
  seq: number
  kind: Kind
  model: string
  input: Record<string, unknown>
  /** The most units that will be paid for the whole task. */
  maxUnits: number
  /**
   * What earlier attempts delivered of the stream: go on from there. Output and result hold only what follows, and `usage`
   * counts the prefix neither as input nor as output; the task's own limits, such as max_tokens, include it.
   */
  prefix?: Prefix
  /** Deliver output as it comes, to /v1/leases/:id/output. */
  stream: boolean
  /** Renew before this, Unix milliseconds by the edge's clock. */
  expiresAt: number
}

export type ResultReceipt = { lease: string; accepted: boolean /** Why not, when not accepted. */; code?: string }

export type PollAnswer = {
  leases: Lease[]
  results: ResultReceipt[]
  /** Leases to stop working on: their task was cancelled, has ended, or went to another provider. */
  revoked: string[]
  /** The edge's clock, Unix milliseconds. */
  now: number
}

/** Frames of GET /v1/provider/socket. The text 'ping' is answered by 'pong' without waking the market. */
export const ProviderFrame = z.discriminatedUnion('type', [
  Poll.omit({ waitSeconds: true }).extend({ type: z.literal('poll') }),
])
export type ProviderFrame = z.output<typeof ProviderFrame>
export type EdgeFrame = ({ type: 'answer' } & PollAnswer) | { type: 'error'; problem: { code: string; title: string } }

/**
 * Frames an agent sends to GET /v1/leases/:id/output; `from` is the index of the first delta, so that repeats are harmless.
 * `tokens` are the output tokens of each delta, one when left out: what an attempt delivered is paid by them if it gets no further.
 */
export const OutputFrame = z.strictObject({
  from: Count,
  deltas: z.array(z.string().min(1).max(65_536)).min(1).max(1000),
  tokens: z.array(Count).max(1000).optional(),
})
export type OutputFrame = z.output<typeof OutputFrame>

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

/* Accounts and keys */

export const SCOPES = ['tasks:write', 'tasks:read', 'account:read'] as const
export const CreateKey = z.strictObject({
  name: z.string().min(1).max(60),
  scopes: z
    .array(z.enum(SCOPES))
    .min(1)
    .default([...SCOPES]),
  /** Tokens this key may spend in all; none means the account's balance is the only bound. */
  budget: Amount.optional(),
  expiresInSeconds: z.int().min(60).max(31_536_000).optional(),
})
export type CreateKey = z.output<typeof CreateKey>
export type Scope = (typeof SCOPES)[number]

export const SignIn = z.strictObject({
  address: Address,
  /** Origin of the edge, for example https://edge.example. */
  audience: z.url().max(200),
  /** Unix milliseconds; must be later than the last one this address used. */
  issuedAt: z.int().min(0),
  signature: Hex,
})
export type SignIn = z.output<typeof SignIn>

export type AccountView = {
  address: Address
  deposited: string
  free: string
  held: string
  spent: string
  earned: string
}

export type KeyView = {
  id: string
  name: string
  scopes: Scope[]
  budget?: string
  expiresAt?: number
  createdAt: number
}

/* Webhooks */

export const CreateWebhook = z
  .strictObject({
    /** Where messages are sent; https, and an address that is public, except on development networks. */
    url: z.string().max(2048),
  })
  .meta({ id: 'CreateWebhook' })

export const WebhookView = z
  .object({
    id: z.string(),
    url: z.string(),
    createdAt: z.int(),
    /** When it answered 410 Gone, after which nothing is sent to it. */
    disabledAt: z.int().optional(),
  })
  .meta({ id: 'WebhookView' })
export type WebhookView = z.output<typeof WebhookView>

export const WebhookEvent = z.enum(['task.succeeded', 'task.failed', 'task.cancelled', 'task.expired'])
export type WebhookEvent = z.output<typeof WebhookEvent>

export const DeliveryView = z
  .object({
    /** The `webhook-id` of all its attempts. */
    id: z.string(),
    event: WebhookEvent,
    task: z.string(),
    state: z.enum(['pending', 'delivered', 'failed']),
    createdAt: z.int(),
    attempts: Count,
    nextAttemptAt: z.int().optional(),
    /** HTTP status of the last attempt, or why there was none. */
    status: z.int().optional(),
    failure: z.string().optional(),
  })
  .meta({ id: 'DeliveryView' })
export type DeliveryView = z.output<typeof DeliveryView>

/* Network */

export type Interval = { low: number; mean: number; high: number }

/** The five headline metrics; formulas in core/health.ts. Null means not known yet. */
export type Metrics = {
  totalProviders: number
  activeProviders: number
  totalTasks: number
  averageReputation: number | null
  healthScore: number | null
}

/** One finished or open task as the public sees it: no input, no output, no requester. */
export type TaskSummary = {
  id: string
  kind: Kind
  model: string
  status: TaskStatus
  createdAt: number
  provider?: Address
  /** Milliseconds from submit to first grant, and from that grant to the end. */
  waitMs?: number
  runMs?: number
  price?: string
}

/** Counts of one minute of the market, keyed by its start (Unix milliseconds, multiple of 60,000). */
export type Minute = {
  at: number
  submitted: number
  succeeded: number
  failed: number
  /** Upper bound of the wait of half, and of 95 %, of the tasks granted in this minute; null when none was. */
  waitP50Ms: number | null
  waitP95Ms: number | null
  /** Sum of prices captured, in tokens. */
  volume: string
}

/** One component of the Network Health Score: value in 0..1, or null when there is nothing to measure. */
export type HealthComponent = { name: string; label: string; weight: number; value: number | null; formula: string }

export type NetworkSnapshot = {
  at: number
  metrics: Metrics
  /** 90 % interval of the average reputation's providers' means, or null without providers. */
  reputation: Interval | null
  health: HealthComponent[]
  status: Record<TaskStatus, number>
  /** The last 60 minutes, oldest first, without gaps. */
  minutes: Minute[]
  /** Latest first, at most 20. */
  latest: TaskSummary[]
  providers: ProviderSummary[]
}

export type ProviderSummary = {
  address: Address
  name: string
  active: boolean
  region?: Region
  reputation: Interval
  slots: number
  busy: number
  offers: { kind: Kind; model: string; ask: string; speed: number }[]
  succeeded: number
  failed: number
  earned: string
}

/** Frames of GET /v1/network/socket. `seq` grows by one a frame; on a gap, reconnect for a new snapshot. */
export type NetworkFrame =
  | { seq: number; type: 'snapshot'; snapshot: NetworkSnapshot }
  | { seq: number; type: 'delta'; changes: Partial<NetworkSnapshot> }

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

/** A market's money, in tokens: drawn = restored + held + available + captured, and captured = earned + fees. */
export type BooksView = Record<'drawn' | 'restored' | 'held' | 'available' | 'captured' | 'earned' | 'fees', string>
