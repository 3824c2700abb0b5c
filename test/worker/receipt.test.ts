/** Receipts by the real Worker: what a provider signs, what the edge makes of it, and what it refuses. */
import { evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { expect, test } from 'vitest'
import { verifyReceipt } from '#client/daicn.ts'
import type { Lease, Result } from '#core/protocol/lease.ts'
import type { Receipt, Statement } from '#core/receipt.ts'
import type { Env } from '#worker/env.ts'
import type { Market } from '#worker/objects/market.ts'
import { type MarketStore, pack } from '#worker/objects/market-store.ts'
import { denied, failed, type Person, poll, read, requester, send, succeeded } from '../support/network.ts'
import { DIGEST, health, leased, signedResult, signer } from '../support/signer.ts'

const taskOf = (lease: Lease) => lease.id.slice(0, lease.id.lastIndexOf('.'))
const receiptOf = (me: { token: string }, id: string) => send<Receipt>('GET', `/v1/tasks/${id}/receipt`, me)

test('a signed result has a receipt that verifies, and it is the same each time', async () => {
  const [who, me] = [await signer('signed'), await requester()]
  const lease = await leased(who, me, 'signed')
  const { results } = await poll(who, { results: [await signedResult(who, lease)] })
  expect(results).toEqual([{ lease: lease.id, accepted: true }])
  const { status, body } = await receiptOf(me, taskOf(lease))
  expect(status).toBe(200)
  const task = await read(me, taskOf(lease))
  const { address, court, chainId } = await health()
  expect(body).toMatchObject({
    domain: { chainId, court },
    task: task.id,
    attempt: 1,
    provider: who.address,
    requester: me.address,
    kind: 'llm.chat',
    model: 'signed',
    digest: DIGEST,
    prefix: null,
    units: task.units,
    price: task.price,
    acceptedAt: task.finishedAt,
    edge: { address },
  })
  expect(await verifyReceipt(body, { output: task.output })).toMatchObject({ ok: true })
  expect(await verifyReceipt(body, { output: { ...(task.output as object), content: 'other' } })).toMatchObject({
    ok: false,
  })
  expect((await receiptOf(me, task.id)).body).toEqual(body)
})

test('a receipt outlives the memory of the market', async () => {
  const [who, me] = [await signer('kept'), await requester()]
  const lease = await leased(who, me, 'kept')
  await poll(who, { results: [await signedResult(who, lease)] })
  const before = await receiptOf(me, taskOf(lease))
  const market = (env as unknown as Env).MARKET.getByName('c1')
  await runInDurableObject(market, (instance: Market) => pack((instance as unknown as { store: MarketStore }).store))
  await evictDurableObject(market)
  expect(await receiptOf(me, taskOf(lease))).toMatchObject({ status: 200, body: before.body })
})

test('without a success, without a signature, or for another, there is no receipt', async () => {
  const [who, me, other] = [await signer('none'), await requester(), await requester()]
  const lease = await leased(who, me, 'none')
  denied(await receiptOf(me, taskOf(lease)), 409, 'receipt_not_ready')
  await poll(who, { results: [succeeded(lease.id)] })
  denied(await receiptOf(me, taskOf(lease)), 404, 'receipt_unsigned')
  denied(await receiptOf(other, taskOf(lease)), 404, 'task_not_found')
  denied(await receiptOf(me, 'c1-nothing'), 404, 'task_not_found')
  const second = await leased(who, me, 'none')
  await poll(who, { results: [failed(second.id)] })
  denied(await receiptOf(me, taskOf(second)), 409, 'receipt_not_ready')
})

test.each<[string, (me: Person) => Partial<Statement>]>([
  ['another output', () => ({ output: '0'.repeat(64) })],
  ['another request', () => ({ request: '0'.repeat(64) })],
  ['another price', () => ({ price: '0.000001' })],
  ['another requester', () => ({ requester: `0x${'11'.repeat(20)}` })],
  ['another attempt', () => ({ attempt: 2 })],
  ['another task', () => ({ task: 'c1-0000000000000000000' })],
  ['another court', () => ({ domain: { chainId: 31337, court: `0x${'22'.repeat(20)}` } })],
  ['an hour from now', () => ({ finishedAt: Math.floor(Date.now() / 1000) * 1000 + 3_600_000 })],
])('a result signed for %s is paid, and its receipt is refused', async (what, over) => {
  const model = what.replaceAll(' ', '-')
  const [who, me] = [await signer(model), await requester()]
  const lease = await leased(who, me, model)
  const { results } = await poll(who, { results: [await signedResult(who, lease, over(me))] })
  expect(results[0]).toMatchObject({ accepted: true })
  expect(await read(me, taskOf(lease))).toMatchObject({ status: 'succeeded' })
  denied(await receiptOf(me, taskOf(lease)), 502, 'receipt_invalid')
})

test('a result signed for other units than it comes to fails its attempt', async () => {
  const [who, me] = [await signer('units'), await requester()]
  const lease = await leased(who, me, 'units')
  await poll(who, { results: [await signedResult(who, lease, { units: 7 })] })
  const { attempts } = await read(me, taskOf(lease))
  expect(attempts[0]).toMatchObject({ state: 'failed', error: { code: 'receipt_mismatch' } })
})

test('a signature that is none is refused as any field that is wrong', async () => {
  const [who, me] = [await signer('malformed'), await requester()]
  const lease = await leased(who, me, 'malformed')
  const good = await signedResult(who, lease)
  const { signed, ...outcome } = good.outcome as Extract<Result['outcome'], { status: 'succeeded' }>
  const result = { ...good, outcome: { ...outcome, signed: { ...signed, signature: '0x00' } } }
  const reply = await send('POST', '/v1/provider/poll', { token: who.token, body: { free: 0, results: [result] } })
  denied(reply, 422, 'invalid_request', '/results/0/outcome/signed/signature')
})
