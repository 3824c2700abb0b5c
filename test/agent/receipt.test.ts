/** What an agent signs and what the edge holds it against are made apart from each other, and must agree. */
import fc from 'fast-check'
import { privateKeyToAccount } from 'viem/accounts'
import { keccak256, recoverTypedDataAddress, stringToBytes } from 'viem/utils'
import { expect, test } from 'vitest'
import type { Edge } from '#agent/edge.ts'
import { signResult } from '#agent/receipt.ts'
import { hashFlat } from '#agent/typed-data.ts'
import { sha256 } from '#client/hash.ts'
import { joinOutput, joinUsage } from '#core/continuation.ts'
import { formatAmount } from '#core/money.ts'
import { meter } from '#core/pricing.ts'
import type { Lease, Result } from '#core/protocol/lease.ts'
import type { Offer } from '#core/protocol/provider.ts'
import type { Address } from '#core/protocol/values.ts'
import type { Prefix } from '#core/protocol/work.ts'
import { basisOf, checkDraft, draftOf, hashOfJson, type ReceiptTypedData, receiptTypedData } from '#core/receipt.ts'
import { type Task, transition } from '#core/task.ts'
import { taskView } from '#core/views.ts'
import { spec, T0 } from '../support/book.ts'

const DOMAIN = { chainId: 31337, court: `0x${'c0'.repeat(20)}` as Address }
const account = privateKeyToAccount(keccak256(stringToBytes('provider')))
const provider = account.address.toLowerCase() as Address
const hash = (text: string) => sha256(new TextEncoder().encode(text))
const recover = async (data: unknown, signature: `0x${string}`) =>
  (await recoverTypedDataAddress({ ...(data as ReceiptTypedData), signature })).toLowerCase() as Address

const signer: Pick<Edge, 'signReceipt'> = {
  async signReceipt(statement) {
    const whole = { ...statement, domain: DOMAIN, provider, finishedAt: T0 }
    const signature = await account.sign({ hash: hashFlat(await receiptTypedData(whole, hash)) })
    return { units: statement.units, finishedAt: T0, signature }
  },
}

const OFFER: Offer = { kind: 'llm.chat', model: 'm', ask: '0.0000001', speed: 1, digest: 'sha256:1' }
const input = { messages: [{ role: 'user', content: 'hi' }] }
const ask = 100_000_000_000n
const lease = (prefix?: Prefix): Lease => ({
  id: 't1.1',
  seq: 1,
  kind: 'llm.chat',
  model: 'm',
  input,
  maxUnits: 50,
  ...(prefix && { prefix }),
  stream: prefix !== undefined,
  terms: { requester: spec().requester, ask: formatAmount(ask), digest: 'sha256:1' },
  expiresAt: T0,
})
const resultOf = (content: string, inputTokens: number, outputTokens: number): Result => ({
  lease: 't1.1',
  outcome: { status: 'succeeded', output: { content, finishReason: 'stop' }, usage: { inputTokens, outputTokens } },
})

test('whatever comes out, also of a stream that others began, the edge finds signed what it knows', async () => {
  const text = fc.string({ unit: 'binary', maxLength: 30 })
  const prefixes = fc.option(fc.record({ text, tokens: fc.nat(50) }), { nil: undefined })
  const property = fc.asyncProperty(text, fc.nat(400), fc.nat(60), prefixes, async (content, read, written, prefix) => {
    const { outcome } = await signResult(signer, [OFFER], lease(prefix), resultOf(content, read, written))
    if (outcome.status !== 'succeeded') throw new Error('it was a success')
    const { output, usage, signed } = outcome
    const units = meter('llm.chat', usage, 50 - (prefix?.tokens ?? 0))
    expect(signed!.units).toBe(units)
    const task: Task = {
      spec: spec({ kind: 'llm.chat', input, inputHash: await hashOfJson(input, hash), maxUnits: 50 }),
      attempts: [{ number: 1, provider, ask, digest: 'sha256:1', grantedAt: T0, units: 0, state: { is: 'granted' } }],
      ...(prefix && { prefix }),
      state: { is: 'leased', attempt: 1 },
    }
    const done = { output: joinOutput(prefix, output), usage: joinUsage(prefix, usage), units, signed: signed! }
    const ended = transition(task, { type: 'succeeded', attempt: 1, ...done }, T0)
    if ('refused' in ended) throw new Error(ended.refused)
    const { requester } = task.spec
    const kept = JSON.parse(JSON.stringify({ requester, view: taskView(ended.task), receipt: basisOf(ended.task) }))
    const checks = await checkDraft(await draftOf(DOMAIN, kept, hash), { hash, recover })
    expect(checks.filter(({ ok }) => !ok)).toEqual([])
  })
  await fc.assert(property, { seed: Number(process.env.SEED ?? 20_260_101), numRuns: 60 })
})

test('nothing is signed for weights that were not offered, nor without terms, nor for a failure', async () => {
  const result = resultOf('hello', 1, 1)
  const other = { ...OFFER, digest: 'sha256:2' }
  expect(await signResult(signer, [other], lease(), result)).toEqual(result)
  const { terms: _, ...without } = lease()
  expect(await signResult(signer, [OFFER], without, result)).toEqual(result)
  const failure: Result = { lease: 't1.1', outcome: { status: 'failed', error: { code: 'x', message: 'y' } } }
  expect(await signResult(signer, [OFFER], lease(), failure)).toEqual(failure)
})
