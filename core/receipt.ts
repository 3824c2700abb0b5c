/**
 * Receipts: who did what for whom, for how much, signed by the provider and countersigned by the edge, so that anybody can
 * check one without asking anybody. The provider signs the very message that DisputeCourt knows: two of its receipts for one
 * attempt that contradict are a proof against it.
 *
 * Hashes are SHA-256 in lower-case hex, of UTF-8:
 * | field   | of                                                                                              |
 * |---------|-------------------------------------------------------------------------------------------------|
 * | input   | the canonical JSON of the task's input; content that was uploaded stands in it by its hash      |
 * | output  | the canonical JSON of the task's output, what earlier attempts delivered of its text included   |
 * | request | the canonical JSON of `{ digest, input, kind, model, prefix }` with `input` as above, and `prefix` |
 * |         | `{ sha256, tokens }` of the text that the attempt went on from; null is what there was not      |
 * In the signed message the task's id is hashed too, for it may be longer than a word of the chain.
 */
import * as z from 'zod'
import { Sha256 } from './blob-ref.ts'
import { canonicalJson } from './canonical-json.ts'
import { formatAmount, isAmount, parseAmount } from './money.ts'
import { Signature, type Signed } from './protocol/lease.ts'
import { AttemptView, type TaskView } from './protocol/task.ts'
import type { Address } from './protocol/values.ts'
import { Kind } from './protocol/work.ts'
import type { Task } from './task.ts'

type Hex = `0x${string}`

const AddressText = z.string().regex(/^0x[0-9a-f]{40}$/, 'must be an address in lower-case hex') as z.ZodType<Address>
const Price = z
  .string()
  .refine(
    (text) => isAmount(text) && formatAmount(parseAmount(text)) === text,
    'must be an amount in its shortest form',
  )
const Time = z.int().min(0)
const WholeSecond = Time.multipleOf(1000)

/** The court whose proofs its receipts are; the zero address where no court is deployed. */
export const ReceiptDomain = z.strictObject({ chainId: z.int().positive(), court: AddressText })
export type ReceiptDomain = z.output<typeof ReceiptDomain>

/** The receipt of the attempt that succeeded. Times are Unix milliseconds, the price is in tokens. */
export const Receipt = z
  .strictObject({
    domain: ReceiptDomain,
    task: z.string().min(1).max(80),
    attempt: z.int().min(1),
    provider: AddressText,
    requester: AddressText,
    kind: Kind,
    model: z.string().min(1).max(200),
    /** Of the weights, as the provider offered them. */
    digest: z.string().max(200).nullable(),
    input: Sha256,
    /** What earlier attempts had delivered of the stream. */
    prefix: z.strictObject({ sha256: Sha256, tokens: z.int().min(0) }).nullable(),
    request: Sha256,
    output: Sha256,
    /** Of this attempt, as are the price and the times. */
    units: z.int().min(0),
    price: Price,
    grantedAt: Time,
    /** By the provider's clock. */
    finishedAt: WholeSecond,
    acceptedAt: Time,
    /** By the provider. */
    signature: Signature,
    edge: z.strictObject({ address: AddressText, signature: Signature }),
  })
  .meta({ id: 'Receipt' })
export type Receipt = z.output<typeof Receipt>

/** What one provider said and signed, as it goes before a court. */
export const Evidence = z
  .object({
    task: z.string(),
    results: z.array(
      z.object({
        attempt: z.int(),
        provider: AddressText,
        state: AttemptView.shape.state,
        output: z.unknown(),
        receipt: Receipt.omit({ edge: true }).nullable(),
      }),
    ),
  })
  .meta({ id: 'Evidence' })
export type Evidence = z.output<typeof Evidence>

/** What the provider signs; the rest is the edge's to add. */
export type Statement = Omit<Receipt, 'grantedAt' | 'acceptedAt' | 'signature' | 'edge'>
/** A receipt that the edge has not countersigned. */
export type Draft = Omit<Receipt, 'edge'>

/** Hex of the SHA-256 of a text. */
export type Hash = (text: string) => Promise<string>

export const hashOfJson = (value: unknown, hash: Hash): Promise<string> => hash(canonicalJson(value))

type Request = Pick<Receipt, 'kind' | 'model' | 'digest' | 'input' | 'prefix'>

export const hashOfRequest = ({ kind, model, digest, input, prefix }: Request, hash: Hash): Promise<string> =>
  hashOfJson({ kind, model, digest, input, prefix }, hash)

export async function prefixOf(prefix: { text: string; tokens: number } | undefined, hash: Hash) {
  return prefix ? { sha256: await hash(prefix.text), tokens: prefix.tokens } : null
}

/** What is kept of a task beside its view, so that its receipt can be made when it is asked for. */
export type ReceiptBasis = {
  attempt: number
  model: string
  digest: string | null
  input: string
  /** How much of the output's text is of earlier attempts, in UTF-16 units. */
  prefix: { length: number; tokens: number } | null
  signed: Signed
}

/** Undefined for a task that has no receipt. */
export function basisOf(task: Task): ReceiptBasis | undefined {
  const { state } = task
  return state.is === 'succeeded' ? basisOfAttempt(task, state.attempt, state.signed) : undefined
}

function basisOfAttempt(
  { spec, attempts, prefix }: Task,
  attempt: number,
  signed: Signed | undefined,
): ReceiptBasis | undefined {
  if (!signed || !spec.inputHash) return undefined
  return {
    attempt,
    model: spec.model,
    digest: attempts[attempt - 1]!.digest ?? null,
    input: spec.inputHash,
    prefix: prefix ? { length: prefix.text.length, tokens: prefix.tokens } : null,
    signed,
  }
}

/** One of the results of a task that were held against each other, as it is kept: for which of them was wrong is a matter of proof. */
export type Exhibit = { attempt: number; output: unknown; units: number; price: string; receipt?: ReceiptBasis }

/** Undefined for a task whose result was held against no other. */
export function exhibitsOf(task: Task): Exhibit[] | undefined {
  const { attempts, deliveries = [] } = task
  if (deliveries.length < 2) return undefined
  return deliveries.map(({ attempt, output, units, signed }) => {
    const receipt = basisOfAttempt(task, attempt, signed)
    const price = formatAmount(attempts[attempt - 1]!.ask * BigInt(units))
    return { attempt, output, units, price, ...(receipt && { receipt }) }
  })
}

/** A receipt as the edge knows it to be true, with what the provider claims to have signed of it. */
export async function draftOf(
  domain: ReceiptDomain,
  { requester, view, receipt }: { requester: Address; view: TaskView; receipt: ReceiptBasis },
  hash: Hash,
): Promise<Draft> {
  const { attempt, model, digest, input, prefix, signed } = receipt
  const { provider, grantedAt, endedAt, units = 0, price = '0' } = view.attempts[attempt - 1]!
  const text = prefix && ((view.output as { content: string | null }).content ?? '').slice(0, prefix.length)
  const request = {
    kind: view.kind,
    model,
    digest,
    input,
    prefix: await prefixOf(prefix ? { text: text!, tokens: prefix.tokens } : undefined, hash),
  }
  return {
    domain,
    task: view.id,
    attempt,
    provider,
    requester,
    ...request,
    request: await hashOfRequest(request, hash),
    output: await hashOfJson(view.output, hash),
    units,
    price,
    grantedAt,
    finishedAt: signed.finishedAt,
    acceptedAt: endedAt!,
    signature: signed.signature,
  }
}

/** By what the public log names a receipt: whoever has the receipt finds it there, and nobody learns from it what was signed. */
export const loggedHash = (
  {
    task,
    attempt,
    provider,
    grantedAt,
    acceptedAt,
    signature,
  }: Pick<Draft, 'task' | 'attempt' | 'provider' | 'grantedAt' | 'acceptedAt' | 'signature'>,
  hash: Hash,
): Promise<string> => hashOfJson({ task, attempt, provider, grantedAt, acceptedAt, signature }, hash)

const TASK_RECEIPT = [
  { name: 'provider', type: 'address' },
  { name: 'task', type: 'bytes32' },
  { name: 'attempt', type: 'uint256' },
  { name: 'requester', type: 'address' },
  { name: 'request', type: 'bytes32' },
  { name: 'output', type: 'bytes32' },
  { name: 'units', type: 'uint256' },
  { name: 'charged', type: 'uint256' },
  { name: 'finishedAt', type: 'uint256' },
] as const

async function messageOf(statement: Statement, hash: Hash) {
  const { provider, task, attempt, requester, request, output, units, price, finishedAt } = statement
  return {
    provider,
    task: `0x${await hash(task)}`,
    attempt: BigInt(attempt),
    requester,
    request: `0x${request}`,
    output: `0x${output}`,
    units: BigInt(units),
    charged: parseAmount(price),
    finishedAt: BigInt(finishedAt / 1000),
  } as const
}

/** The EIP-712 message that a provider signs, as DisputeCourt takes it. */
export async function receiptTypedData(statement: Statement, hash: Hash) {
  const { chainId, court } = statement.domain
  return {
    domain: { name: 'DAICN Court', version: '1', chainId, verifyingContract: court },
    types: { TaskReceipt: TASK_RECEIPT },
    primaryType: 'TaskReceipt',
    message: await messageOf(statement, hash),
  } as const
}
export type ReceiptTypedData = Awaited<ReturnType<typeof receiptTypedData>>

/** The EIP-712 message by which an edge says that it granted, accepted and charged what the provider's receipt is of. */
export async function countersignatureTypedData(draft: Draft, hash: Hash) {
  const { domain, signature, grantedAt, acceptedAt } = draft
  const receipt = await messageOf(draft, hash)
  return {
    domain: { name: 'DAICN', version: '1', chainId: domain.chainId },
    types: {
      Countersignature: [
        { name: 'receipt', type: 'TaskReceipt' },
        { name: 'signature', type: 'bytes' },
        { name: 'grantedAt', type: 'uint256' },
        { name: 'acceptedAt', type: 'uint256' },
      ],
      TaskReceipt: TASK_RECEIPT,
    },
    primaryType: 'Countersignature',
    message: { receipt, signature, grantedAt: BigInt(grantedAt), acceptedAt: BigInt(acceptedAt) },
  } as const
}
export type CountersignatureTypedData = Awaited<ReturnType<typeof countersignatureTypedData>>

/** What checking takes from outside. `recover` gives the address in lower case whose key signed, null when none did. */
export type Tools = {
  hash: Hash
  recover: (data: ReceiptTypedData | CountersignatureTypedData, signature: Hex) => Promise<Address | null>
}

/** One thing that was checked. `field` is the first that is wrong, as a path into the receipt. */
export type Check = { field: string; what: string; ok: boolean }

/** How far a provider's clock may be from the edge's, milliseconds. */
const SKEW_MS = 60_000

/** What a provider's part of a receipt must be. */
export async function checkDraft(draft: Draft, { hash, recover }: Tools): Promise<Check[]> {
  const { provider, kind, model, digest, grantedAt, finishedAt, acceptedAt, signature } = draft
  const weights = digest === null ? '' : `@${digest}`
  const inTime = grantedAt - SKEW_MS <= finishedAt && finishedAt <= acceptedAt + SKEW_MS
  return [
    {
      field: 'request',
      what: `the request is of ${kind} by ${model}${weights}`,
      ok: (await hashOfRequest(draft, hash)) === draft.request,
    },
    { field: 'finishedAt', what: 'it was finished between its grant and its acceptance', ok: inTime },
    {
      field: 'signature',
      what: `signed by the provider ${provider}`,
      ok: (await recover(await receiptTypedData(draft, hash), signature)) === provider,
    },
  ]
}

/**
 * Checks all of a receipt. A changed field that only signatures cover is told by the signature that does not fit any more.
 * @param output what the task put out, to be held against the receipt too; left out when there is none to hold
 */
export async function checkReceipt(value: unknown, tools: Tools, output?: unknown): Promise<Check[]> {
  const parsed = Receipt.safeParse(value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const field = [...issue!.path, ...(issue!.code === 'unrecognized_keys' ? issue!.keys.slice(0, 1) : [])].join('.')
    return [{ field, what: `it has the form of a receipt: ${issue!.message}`, ok: false }]
  }
  const { edge, ...draft } = parsed.data
  const signer = await tools.recover(await countersignatureTypedData(draft, tools.hash), edge.signature)
  const checks = [
    ...(await checkDraft(draft, tools)),
    { field: 'edge.signature', what: `countersigned by the edge ${edge.address}`, ok: signer === edge.address },
  ]
  if (output === undefined) return checks
  const ok = (await hashOfJson(output, tools.hash)) === draft.output
  return [...checks, { field: 'output', what: 'the output is the one that was signed for', ok }]
}
