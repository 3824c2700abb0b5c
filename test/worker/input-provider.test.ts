import { beforeAll, expect, test } from 'vitest'
import type { Lease, PollAnswer } from '#core/protocol/lease.ts'
import type { NetworkSnapshot } from '#core/protocol/network.ts'
import {
  CHAT,
  failed,
  ledger,
  OFFER,
  type Person,
  person,
  poll,
  provider,
  read,
  refused,
  requester,
  send,
  submit,
  succeeded,
} from '../support/network.ts'

let alice: Person
let bob: Person

beforeAll(async () => {
  alice = await requester()
  bob = await provider()
})

const REGISTER = { slots: 1, offers: [OFFER] }
const providerOf = async ({ address }: Person) =>
  (await send<NetworkSnapshot>('GET', '/v1/network')).body.providers.find((shown) => shown.address === address)

/** A task leased to a provider of its own model. */
async function leased(model: string): Promise<{ carol: Person; lease: Lease; task: string }> {
  const carol = await provider([{ ...OFFER, model }])
  const task = await submit(alice, { ...CHAT, model })
  const [lease] = (await poll(carol, { free: 1 })).leases
  return { carol, lease: lease!, task: task.id }
}

test.each<[field: string, value: unknown, pointer?: string]>([
  ['slots', 0],
  ['slots', 257],
  ['slots', '4'],
  ['slots', 1.5],
  ['name', 'n'.repeat(61)],
  ['region', 'moon'],
  ['offers', []],
  ['offers', Array(65).fill(OFFER)],
  ['offers', [OFFER, { ...OFFER, kind: 'llm.dream' }], '/offers/1/kind'],
  ['offers', [{ ...OFFER, model: '' }], '/offers/0/model'],
  ['offers', [{ ...OFFER, ask: '-1' }], '/offers/0/ask'],
  ['offers', [{ ...OFFER, ask: '1e-6' }], '/offers/0/ask'],
  ['offers', [{ ...OFFER, ask: 0.1 }], '/offers/0/ask'],
  ['offers', [{ ...OFFER, speed: 0 }], '/offers/0/speed'],
  ['offers', [{ ...OFFER, speed: 'fast' }], '/offers/0/speed'],
  ['offers', [{ ...OFFER, context: -1 }], '/offers/0/context'],
  ['offers', [{ ...OFFER, extra: 1 }], '/offers/0/extra'],
  ['agent', 7],
  ['wish', 1],
])('a registration with %s = %j is refused and changes nothing', async (field, value, pointer = `/${field}`) => {
  const before = await providerOf(bob)
  const body = { ...REGISTER, [field]: value }
  refused(await send('POST', '/v1/provider/register', { token: bob.token, body }), 'invalid_request', pointer)
  expect(await providerOf(bob)).toEqual(before)
})

test.each<[field: string, value: unknown, pointer?: string]>([
  ['free', -1],
  ['free', 257],
  ['free', 'all'],
  ['free', undefined],
  ['seen', -1],
  ['seen', 1.5],
  ['renew', 'x.1'],
  ['renew', ['x'], '/renew/0'],
  ['renew', Array(257).fill('task.1')],
  ['waitSeconds', 26],
  ['waitSeconds', '1'],
  ['results', [{}], '/results/0/lease'],
  ['results', [{ lease: 'task.1', outcome: { status: 'guessed' } }], '/results/0/outcome/status'],
  ['results', [{ lease: 'task.1', outcome: { status: 'succeeded', output: {} } }], '/results/0/outcome/usage'],
  ['results', [failed('task.1', 'c'.repeat(61))], '/results/0/outcome/error/code'],
  ['results', [succeeded('task.1', 'x', -1)], '/results/0/outcome/usage/outputTokens'],
  ['want', 1],
])('a poll with %s = %j is refused', async (field, value, pointer = `/${field}`) => {
  const body = { free: 1, [field]: value }
  refused(await send('POST', '/v1/provider/poll', { token: bob.token, body }), 'invalid_request', pointer)
})

test('who is not registered is told to register first', async () => {
  const nobody = await person()
  const reply = await send('POST', '/v1/provider/poll', { token: nobody.token, body: { free: 1 } })
  refused(reply, 'not_registered')
  expect(reply.status).toBe(409)
})

test('results and renewals of leases that one does not hold do nothing', async () => {
  const { carol, lease, task } = await leased('held-by-carol')
  const before = await ledger(alice)
  const unknown = `${task.slice(0, -4)}zzzz.1`
  const strange = [unknown, 'task', `${task}.0`, `${task}.2`, `${task}.-1`, `${task}.1e0x`, `${task}.1e300`, '...']
  const { results, revoked, leases } = await poll(bob, {
    results: [lease.id, ...strange].map((id) => succeeded(id)),
    renew: [lease.id, unknown],
  })
  expect(results.map(({ accepted }) => accepted)).toEqual(Array(9).fill(false))
  expect(results[0]).toEqual({ lease: lease.id, accepted: false, code: 'lease_not_found' })
  expect(results[1]!.code).toBe('task_finished')
  expect([revoked, leases]).toEqual([[lease.id, unknown], []])
  expect(await ledger(alice)).toEqual(before)
  expect(await read(alice, task)).toMatchObject({ status: 'leased', provider: carol.address })
  expect((await poll(carol, { seen: lease.seq, renew: [lease.id] })).revoked).toEqual([])
})

test('an attempt of another provider cannot be answered, whatever number it is given', async () => {
  const { carol, lease, task } = await leased('given-back')
  await poll(carol, { seen: lease.seq, results: [{ lease: lease.id, outcome: { status: 'returned' } }] })
  for (const id of [lease.id, `${task}.2`]) {
    const { results } = await poll(bob, { results: [succeeded(id)] })
    expect(results).toEqual([{ lease: id, accepted: false, code: 'lease_not_found' }])
  }
  expect((await read(alice, task)).status).toBe('queued')
})

test('output for a lease that one does not hold is refused, and so is output for one that is over', async () => {
  const { carol, lease } = await leased('private-output')
  const put = (who: Person, id: string) =>
    send('PUT', `/v1/leases/${id}/output`, { token: who.token, body: { from: 0, deltas: ['x'] } })
  for (const id of [lease.id, 'x', 'x.1', `${lease.id}.1`, `${lease.id.slice(0, -2)}.2`]) {
    refused(await put(bob, id), 'lease_not_found')
    const headers = { upgrade: 'websocket' }
    const reply = await send('GET', `/v1/leases/${id}/output`, { token: bob.token, headers })
    refused(reply, 'lease_not_found')
    expect(reply.status).toBe(404)
  }
  expect((await put(carol, lease.id)).body).toEqual({ next: 1 })
  await poll(carol, { seen: lease.seq, results: [succeeded(lease.id)] })
  refused(await put(carol, lease.id), 'lease_not_found')
})

test('output that leaves a gap is not taken, and the edge says what it wants', async () => {
  const { carol, lease } = await leased('gap')
  const put = (body: unknown) => send('PUT', `/v1/leases/${lease.id}/output`, { token: carol.token, body })
  expect((await put({ from: 3, deltas: ['late'] })).body).toEqual({ next: 0 })
  expect((await put({ from: 0, deltas: ['a', 'b'] })).body).toEqual({ next: 2 })
  expect((await put({ from: 4, deltas: ['late'] })).body).toEqual({ next: 2 })
  expect((await put({ from: 1, deltas: ['b', 'c'] })).body).toEqual({ next: 3 })
  refused(await put({ from: -1, deltas: ['x'] }), 'invalid_request', '/from')
  refused(await put({ from: 0, deltas: [] }), 'invalid_request', '/deltas')
  refused(await put({ from: 0, deltas: ['x'.repeat(65_537)] }), 'invalid_request', '/deltas/0')
  refused(await put({ from: 0, deltas: Array(1001).fill('x') }), 'invalid_request', '/deltas')
  expect((await put({ from: 3, deltas: ['d'] })).body).toEqual({ next: 4 })
})

test('an output too deep or too large fails the attempt, and the market goes on', async () => {
  const { carol, lease, task } = await leased('too-much')
  const deep = JSON.stringify({ free: 0, seen: lease.seq, results: [succeeded(lease.id)] }).replace(
    '"content"',
    `"x":${'['.repeat(50_000)}${']'.repeat(50_000)},"content"`,
  )
  const headers = { 'content-type': 'application/json' }
  refused(await send('POST', '/v1/provider/poll', { token: carol.token, raw: deep, headers }), 'invalid_request', '')
  expect((await read(alice, task)).status).toBe('leased')
  const large = [succeeded(lease.id, 'x'.repeat(1024 * 1024))]
  const { body } = await send<PollAnswer>('POST', '/v1/provider/poll', {
    token: carol.token,
    body: { free: 0, seen: lease.seq, results: large },
  })
  expect(body.results).toEqual([{ lease: lease.id, accepted: true }])
  expect((await read(alice, task)).attempts[0]!.error).toMatchObject({ code: 'invalid_output' })
})
