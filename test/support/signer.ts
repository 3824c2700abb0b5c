/** Providers of the Worker under test that sign what they did. */
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { expect } from 'vitest'
import type * as z from 'zod'
import type { Lease, Result, Signed } from '#core/protocol/lease.ts'
import type { Health } from '#core/protocol/network.ts'
import type { Address } from '#core/protocol/values.ts'
import { hashOfJson, hashOfRequest, prefixOf, receiptTypedData, type Statement } from '#core/receipt.ts'
import { sha256 } from '#worker/auth.ts'
import { CHAT, OFFER, type Person, poll, send, signIn, submit, succeeded } from './network.ts'

export const DIGEST = 'sha256:77'
export const health = async () => (await send<z.output<typeof Health>>('GET', '/v1/health')).body

/** A provider that can sign, for a model of its own. */
export async function signer(model: string) {
  const account = privateKeyToAccount(generatePrivateKey())
  const { body } = await signIn(account)
  const who: Person = { address: account.address.toLowerCase() as Address, token: body.token }
  const offers = [{ ...OFFER, model, digest: DIGEST }]
  await send('POST', '/v1/provider/register', { token: who.token, body: { slots: 4, offers } })
  return { ...who, account }
}
export type Signer = Awaited<ReturnType<typeof signer>>

export async function leased(who: Signer, me: Person, model: string): Promise<Lease> {
  await submit(me, { ...CHAT, model })
  const { leases } = await poll(who, { free: 1, waitSeconds: 20 })
  return leases[0]!
}

/** The result of a lease, signed with what the agent would sign, or with something else. */
export async function signedResult(who: Signer, lease: Lease, over: Partial<Statement> = {}): Promise<Result> {
  const result = succeeded(lease.id)
  const { chainId, court } = await health()
  const { requester, ask, digest } = lease.terms!
  const request = {
    kind: lease.kind,
    model: lease.model,
    digest,
    input: await hashOfJson(lease.input, sha256),
    prefix: await prefixOf(lease.prefix, sha256),
  }
  expect(ask).toBe(OFFER.ask)
  const statement: Statement = {
    domain: { chainId, court },
    task: lease.id.slice(0, lease.id.lastIndexOf('.')),
    attempt: 1,
    provider: who.address,
    requester,
    ...request,
    request: await hashOfRequest(request, sha256),
    output: await hashOfJson(result.outcome.output, sha256),
    units: 6,
    price: '0.000006',
    finishedAt: Math.floor(Date.now() / 1000) * 1000,
    ...over,
  }
  const { units, finishedAt } = statement
  const signature = await who.account.signTypedData(await receiptTypedData(statement, sha256))
  const signed: Signed = { units, finishedAt, signature }
  return { ...result, outcome: { ...result.outcome, signed } }
}
