/** What the edge sends, checked before anything relies on it: an edge is another party's program. */
import { isAmount } from '#core/money.ts'
import { ChatTexts } from '#core/protocol/chat-piece.ts'
import type { EdgeFrame, Lease, PollAnswer, ResultReceipt } from '#core/protocol/lease.ts'
import { Address } from '#core/protocol/values.ts'
import { KINDS, type Prefix } from '#core/protocol/work.ts'

/** Throws TypeError for what is not a PollAnswer. */
export function parseAnswer(value: unknown): PollAnswer {
  const answer = record(value)
  return {
    ...(answer.mark === undefined ? {} : { mark: number(answer.mark) }),
    leases: list(answer.leases, parseLease),
    results: list(answer.results, parseReceipt),
    revoked: list(answer.revoked, (id) => text(id)),
    now: number(answer.now),
  }
}

export function parseFrame(data: string): EdgeFrame {
  const frame = record(JSON.parse(data))
  if (frame.type === 'answer') return { type: 'answer', ...parseAnswer(frame) }
  if (frame.type !== 'error') throw new TypeError('not a frame of this protocol')
  const problem = record(frame.problem)
  return { type: 'error', problem: { code: text(problem.code), title: text(problem.title) } }
}

function parseLease(value: unknown): Lease {
  const lease = record(value)
  const kind = KINDS.find((known) => known === lease.kind)
  if (!kind) throw new TypeError('a lease of an unknown kind')
  const prefix = lease.prefix === undefined ? {} : { prefix: parsePrefix(lease.prefix) }
  const terms = lease.terms === undefined ? {} : { terms: parseTerms(lease.terms) }
  const account = lease.account === undefined ? {} : { account: parseAccount(lease.account) }
  return {
    ...prefix,
    ...terms,
    ...account,
    id: text(lease.id),
    seq: number(lease.seq),
    kind,
    model: text(lease.model),
    input: record(lease.input),
    maxUnits: number(lease.maxUnits),
    stream: lease.stream === true,
    expiresAt: number(lease.expiresAt),
  }
}

function parsePrefix(value: unknown): Prefix {
  const prefix = record(value)
  const beside = prefix.beside === undefined ? {} : { beside: ChatTexts.parse(prefix.beside) }
  return { text: text(prefix.text), tokens: number(prefix.tokens), ...beside }
}

function parseTerms(value: unknown): NonNullable<Lease['terms']> {
  const { requester, ask, digest } = record(value)
  if (!isAmount(text(ask))) throw new TypeError('expected an amount')
  return { requester: Address.parse(requester), ask: text(ask), digest: digest === null ? null : text(digest) }
}

function parseAccount(value: unknown): NonNullable<Lease['account']> {
  if (!/^0x[0-9a-f]{64}$/.test(text(value))) throw new TypeError('expected an account')
  return value as NonNullable<Lease['account']>
}

function parseReceipt(value: unknown): ResultReceipt {
  const receipt = record(value)
  const code = receipt.code === undefined ? {} : { code: text(receipt.code) }
  return { lease: text(receipt.lease), accepted: receipt.accepted === true, ...code }
}

function record(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError('expected an object')
  return value as Record<string, unknown>
}

function list<T>(value: unknown, parse: (item: unknown) => T): T[] {
  if (!Array.isArray(value)) throw new TypeError('expected an array')
  return value.map(parse)
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError('expected a string')
  return value
}

function number(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new TypeError('expected a number')
  return value
}
