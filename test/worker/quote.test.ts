import { beforeAll, expect, test } from 'vitest'
import type { Why } from '#core/protocol/provider.ts'
import type { Quote } from '#core/protocol/quote.ts'
import {
  CHAT,
  denied,
  ledger,
  OFFER,
  type Person,
  poll,
  provider,
  requester,
  send,
  submit,
  succeeded,
} from '../support/network.ts'

let alice: Person & { session: string }
beforeAll(async () => {
  alice = await requester()
})

const quote = (body: unknown, who: { token: string } = alice) =>
  send<Quote>('POST', '/v1/quote', { token: who.token, body })
const why = (who: Person) => send<Why>('GET', '/v1/provider/why', who)

test('a quote is what submitting then holds, and costs nothing itself', async () => {
  const bob = await provider([{ ...OFFER, model: 'quoted' }])
  const task = { ...CHAT, model: 'quoted' }
  const before = await ledger(alice)
  const { status, body } = await quote(task)
  expect([status, await ledger(alice)]).toEqual([200, before])
  expect(body).toMatchObject({ kind: 'llm.chat', model: 'quoted', candidates: 1, failing: null })
  expect(body.wait).toEqual({ p50Ms: null, p90Ms: null, basis: 'formula', free: 0, slots: 8, ahead: 0 })
  expect(body.finish).toBeNull()
  expect(body.price.expected).toBeNull()

  const { maxPrice } = await submit(alice, task)
  expect(body.price.ceiling).toBe(maxPrice)
  const [lease] = (await poll(bob, { free: 1 })).leases
  await poll(bob, { seen: lease!.seq, results: [succeeded(lease!.id)] })
  const later = (await quote(task)).body
  expect(later.price.expected).toBe('0.000006')
  expect(later.wait).toMatchObject({ p50Ms: expect.any(Number), p90Ms: expect.any(Number) })
})

test('what nobody can run is explained, not refused', async () => {
  await provider([{ ...OFFER, model: 'dear', ask: '1' }])
  const { status, body } = await quote({ ...CHAT, model: 'dear' })
  expect(status).toBe(200)
  expect(body).toMatchObject({ candidates: 0, failing: 'price', excluded: { price: 1 } })
  expect(body.explanation).toMatch(/^\d+ providers: .*1 asks more than your ceiling\.$/)
  const enough = (await quote({ ...CHAT, model: 'dear', maxPrice: body.leastMaxPrice })).body
  expect(enough).toMatchObject({ candidates: 1, price: { ceiling: body.leastMaxPrice } })

  expect((await quote({ ...CHAT, model: 'never-heard-of' })).body).toMatchObject({ candidates: 0, failing: 'model' })
})

test.each<[requirements: object, failing: string]>([
  [{ minReputation: 0.9 }, 'reputation'],
  [{ region: 'oc' }, 'region'],
  [{ minContext: 5000 }, 'context'],
])('the requirement %j is a filter of quotes and of tasks alike', async (requirements, failing) => {
  const model = `needs-${failing}`
  const bob = await provider([{ ...OFFER, model, context: 4096 }])
  const task = { ...CHAT, model, requirements }
  expect((await quote(task)).body).toMatchObject({ candidates: 0, failing })
  expect((await quote({ ...task, requirements: { exclude: [bob.address] } })).body.failing).toBe('excluded')
  const { status, body } = await send<{ status: string }>('POST', '/v1/tasks', { token: alice.token, body: task })
  if (status === 201) expect([body.status, (await poll(bob, { free: 1 })).leases]).toEqual(['queued', []])
  else expect(status).toBe(503)
})

test('a quote is refused for what a task would be refused for', async () => {
  const readOnly = { name: 'reader', scopes: ['tasks:read'] }
  const { body } = await send<{ key: string }>('POST', '/v1/keys', { token: alice.session, body: readOnly })
  denied(await quote(CHAT, { token: body.key }), 403, 'forbidden')
  denied(await send('POST', '/v1/quote', { body: CHAT }), 401, 'missing_credentials')
  denied(await quote([CHAT]), 422, 'invalid_request', '')
  denied(await quote({ ...CHAT, kind: 'llm.dream' }), 422, 'unknown_kind', '/kind')
  denied(await quote({ ...CHAT, input: {} }), 422, 'invalid_request', '/input/messages')
  denied(await quote({ ...CHAT, maxPrice: '0' }), 422, 'price_below_unit', '/maxPrice')
})

test('a provider learns why another gets the work', async () => {
  const model = 'contested'
  const bob = await provider([{ ...OFFER, model, ask: '0.000002' }])
  const carol = await provider([{ ...OFFER, model, ask: '0.000001' }])
  await submit(alice, { ...CHAT, model })
  await poll(carol, { free: 1 })
  const { body } = await why(bob)
  expect(body).toMatchObject({ active: true, free: 0, leases: 0 })
  const [offer] = body.offers
  expect(offer!.ranks[0]).toMatchObject({ preference: 'cheapest', rank: 2, of: 2, leader: { provider: carol.address } })
  expect(offer!.ranks[0]!.explanation).toContain('your price 0.000002 is above the winning 0.000001')
  expect(offer!.recent).toMatchObject({ tasks: 1, won: 0, outranked: { price: 1 } })
  expect(JSON.stringify(body)).not.toContain(alice.address)
})

test('why is for registered providers, signed in', async () => {
  denied(await send('GET', '/v1/provider/why', { token: alice.token }), 403, 'forbidden')
  denied(await send('GET', '/v1/provider/why', { token: alice.session }), 409, 'not_registered')
})
