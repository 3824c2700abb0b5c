import { type Checked, mostResults } from './assurance.ts'
import { blobsIn } from './blob.ts'
import { isReference } from './blob-ref.ts'
import { bitsOf, capabilitiesNeeded, type Variant } from './capability.ts'
import { DomainError } from './errors.ts'
import { firstIssue, pointerTo } from './json.ts'
import { formatAmount, parseAmount } from './money.ts'
import { maxUnits, UNITS, utf8Length } from './pricing.ts'
import type { Preference } from './protocol/quote.ts'
import type { SubmitTask } from './protocol/task.ts'
import { type Address, LIMITS, type Region } from './protocol/values.ts'
import { INPUTS, isContained, KINDS, type Kind } from './protocol/work.ts'

/** A task as asked for, checked and priced; what is left to the market is who runs it and whether it can be paid. */
export type TaskRequest = {
  /** Where the task stands in the body, for errors; none when it is the body. */
  pointer?: string
  kind: Kind
  /** Null: any model of this kind. */
  model: string | null
  variant: Variant | null
  input: Record<string, unknown>
  /** Of the input, for the receipt; see core/receipt.ts. */
  inputHash?: string
  bytes: number
  bid: bigint
  maxUnits: number
  preference: Preference
  minReputation: number
  minContext: number
  region: Region | null
  exclude: Address[]
  /** The one provider that may do it. */
  only?: Address
  deadlineMs: number
  maxAttempts: number
  stream: boolean
  webhook?: string
  assurance?: Checked
  /** Of an assured task; drawn by the market. */
  lot?: number
  /** Made by the market alone; see core/canary.ts. */
  canary?: { id: string; output: Record<string, unknown> }
}

/**
 * Checks a task's input against its kind and turns its price ceiling into a bid for a unit.
 * @param pointer where the task stands in the body, for errors
 * @param content what an input by reference refers to
 */
export function toRequest(task: SubmitTask, pointer = '', content?: Record<string, unknown>): TaskRequest {
  const kind = KINDS.find((known) => known === task.kind)
  if (!kind)
    throw new DomainError('unknown_kind', { detail: `"${task.kind}" is not a kind`, pointer: `${pointer}/kind` })
  if (content === undefined && isReference(task.input)) throw unread(`${pointer}/input`)
  const parsed = INPUTS[kind].safeParse(content ?? task.input)
  if (!parsed.success) {
    const issue = firstIssue(parsed.error)
    throw new DomainError('invalid_request', {
      detail: issue.message,
      pointer: `${pointer}/input${pointerTo(issue)}`,
    })
  }
  if (task.model === undefined && isContained(kind))
    throw new DomainError('invalid_request', {
      detail: `name the image that ${kind} is to start, as in python@sha256:...`,
      pointer: `${pointer}/model`,
    })
  if (content && blobsIn(kind, content).length > 0) throw nested(kind, `${pointer}/input`)
  const bytes = utf8Length(JSON.stringify(task.input))
  if (bytes > LIMITS.inputBytes) throw new DomainError('body_too_large', { pointer: `${pointer}/input` })
  const units = maxUnits(kind, parsed.data)
  const assurance = assuranceOf(task, kind, pointer)
  return {
    ...(pointer !== '' && { pointer }),
    kind,
    model: task.model ?? null,
    variant: variantOf(kind, parsed.data, task.requirements.minQuantization),
    input: task.input,
    bytes,
    bid: bidOf(kind, task.maxPrice, units * mostResults(assurance), pointer),
    maxUnits: units,
    preference: task.preference,
    minReputation: task.requirements.minReputation,
    minContext: task.requirements.minContext ?? 0,
    region: task.requirements.region ?? null,
    exclude: task.requirements.exclude,
    ...(task.requirements.provider !== undefined && { only: task.requirements.provider }),
    deadlineMs: task.deadlineSeconds * 1000,
    maxAttempts: task.maxAttempts,
    stream: task.stream,
    ...(task.webhook !== undefined && { webhook: task.webhook }),
    ...(assurance && { assurance }),
  }
}

const unread = (pointer: string) =>
  new DomainError('invalid_request', {
    detail: 'an uploaded input is read by POST /v1/tasks and /v1/quote, with the key of the account that has it',
    pointer,
  })

const nested = (kind: Kind, pointer: string) =>
  new DomainError('invalid_request', {
    detail: `an uploaded input holds its content itself; write this ${kind} inline, where it refers to blobs`,
    pointer,
  })

/** Null for a task that any provider of its model can do. The digest is the market's to find in the model's name. */
function variantOf(kind: Kind, input: Record<string, unknown>, minQuantization: string | undefined): Variant | null {
  const capabilities = capabilitiesNeeded(kind, input)
  if (capabilities.length === 0 && minQuantization === undefined) return null
  return { digest: null, minBits: minQuantization === undefined ? 0 : bitsOf(minQuantization)!, capabilities }
}

/** Undefined for none. @throws DomainError not_comparable where two honest results would differ */
function assuranceOf({ assurance, stream, input }: SubmitTask, kind: Kind, pointer: string): Checked | undefined {
  if (!assurance || assurance.level === 'none') return undefined
  const refuse = (detail: string) => new DomainError('not_comparable', { detail, pointer: `${pointer}/assurance` })
  if (stream) throw refuse('a stream is delivered before it could be compared')
  if (kind === 'llm.chat' && input.temperature !== 0)
    throw refuse('a chat is written the same again only at temperature 0')
  return assurance
}

function bidOf(kind: Kind, maxPrice: string | undefined, units: number, pointer: string): bigint {
  if (maxPrice === undefined) return UNITS[kind].defaultBid
  const bid = parseAmount(maxPrice) / BigInt(units)
  if (bid > 0n) return bid
  const least = formatAmount(BigInt(units))
  throw new DomainError('price_below_unit', {
    detail: `the task may come to ${units} units, so maxPrice must be at least ${least}`,
    pointer: `${pointer}/maxPrice`,
  })
}

/** Requests as JSON, on their way to a market. */
export function encodeRequests(requests: TaskRequest[]): string {
  return JSON.stringify(requests.map((request) => ({ ...request, bid: request.bid.toString() })))
}

export function decodeRequests(text: string): TaskRequest[] {
  const requests = JSON.parse(text) as (Omit<TaskRequest, 'bid'> & { bid: string })[]
  return requests.map((request) => ({ ...request, bid: BigInt(request.bid) }))
}
