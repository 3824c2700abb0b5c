import { evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { expect, test } from 'vitest'
import type { OwnProviders } from '#core/directory.ts'
import { parseAmount } from '#core/money.ts'
import type { Device, Earnings, Why } from '#core/protocol/provider.ts'
import type { Market } from '#worker/objects/market.ts'
import { loadMarket, snapshot } from '#worker/objects/market-store.ts'
import {
  accountOf,
  CHAT,
  denied,
  market,
  OFFER,
  type Person,
  person,
  poll,
  refused,
  requester,
  send,
  submit,
  succeeded,
} from '../support/network.ts'

const CARD: Device = { id: 'GPU-secret-uuid', kind: 'nvidia', name: 'a card', memoryBytes: 1 }
const CPU: Device = { id: 'CPU', kind: 'cpu', name: 'a processor', memoryBytes: 1 }

const earnings = async (who: { token: string }) => (await send<Earnings>('GET', '/v1/provider/earnings', who)).body

async function withDevices(model: string, owner?: Person, who?: Person): Promise<Person> {
  who ??= await person()
  const body = { slots: 8, offers: [{ ...OFFER, model }], devices: [CARD, CPU], ...(owner && { owner: owner.address }) }
  expect((await send('POST', '/v1/provider/register', { token: who.token, body })).status).toBe(200)
  return who
}

/** A task done by its provider, on these devices as far as it says so. */
async function work(alice: Person, bob: Person, model: string, devices?: string[]) {
  const task = await submit(alice, { ...CHAT, model })
  const [lease] = (await poll(bob, { free: 1 })).leases.slice(-1)
  const { lease: id, outcome } = succeeded(lease!.id)
  const result = { lease: id, outcome: { ...outcome, ...(devices && { devices }) } }
  const call = { seen: lease!.seq, results: [result] }
  expect((await poll(bob, call)).results).toEqual([{ lease: id, accepted: true }])
  return { task, call }
}

test('a provider is told what each of its devices earned, the rest as not known, whatever becomes of the market', async () => {
  const [alice, bob] = [await requester(), await withDevices('on-devices')]
  const registered = [CARD, CPU].map(({ id, kind, name }) => ({ id, kind, name, tasks: 0, earned: '0' }))
  expect(await earnings(bob)).toEqual({ earned: '0', devices: registered, unknown: '0' })

  const { call } = await work(alice, bob, 'on-devices', [CARD.id])
  await work(alice, bob, 'on-devices', [CARD.id])
  // Its answer was lost.
  await poll(bob, call)
  await work(alice, bob, 'on-devices', [CPU.id])
  await work(alice, bob, 'on-devices')
  await work(alice, bob, 'on-devices', ['GPU-of-another'])
  const one = '0.00000594'
  const told = await earnings(bob)
  expect(told).toEqual({
    earned: '0.0000297',
    devices: [
      { ...registered[0], tasks: 2, earned: '0.00001188' },
      { ...registered[1], tasks: 1, earned: one },
    ],
    unknown: '0.00001188',
  })
  const parts = [...told.devices.map(({ earned }) => earned), told.unknown].map(parseAmount)
  expect(parts.reduce((sum, part) => sum + part)).toBe(parseAmount(told.earned))
  await expect.poll(async () => (await accountOf(bob)).earned, { timeout: 10_000 }).toBe(told.earned)

  // From the journal, and from a snapshot.
  await evictDurableObject(market())
  expect(await earnings(bob)).toEqual(told)
  await runInDurableObject(market(), (_: Market, { storage }) => snapshot(loadMarket(storage, 'c1', Date.now())))
  await evictDurableObject(market())
  expect(await earnings(bob)).toEqual(told)
  await poll(bob, call)
  expect(await earnings(bob)).toEqual(told)
})

test('an owner is told how its machines do, and nobody else', async () => {
  const [alice, olga] = [await requester(), await person()]
  const [desk, attic] = [await withDevices('owned', olga), await withDevices('spare', olga)]
  const mine = async (who: Person) => (await send<OwnProviders>('GET', '/v1/account/providers', who)).body.providers
  const why = (who: Person, of: Person) => send<Why>('GET', `/v1/account/providers/${of.address}/why`, who)
  await work(alice, attic, 'spare', [CARD.id])

  expect((await mine(olga)).map(({ address }) => address)).toEqual([attic.address, desk.address])
  const [first] = await mine(attic)
  expect(first).toEqual((await mine(olga))[0])
  expect(first).toMatchObject({ earned: '0.00000594', succeeded: 1, earnings: await earnings(attic) })
  expect((await why(olga, attic)).body.offers.map(({ model, recent }) => [model, recent.won])).toEqual([['spare', 1]])

  const other = await person()
  expect(await mine(other)).toEqual([])
  denied(await why(other, attic), 404, 'provider_not_found')
  denied(await why(desk, attic), 404, 'provider_not_found')
  const { body } = await send('GET', `/v1/providers/${attic.address}`)
  expect(JSON.stringify(body)).not.toContain(olga.address)

  // By its last registration, also after a sleep of the market.
  await withDevices('owned', undefined, desk)
  await evictDurableObject(market())
  expect((await mine(olga)).map(({ address }) => address)).toEqual([attic.address])
})

test('nobody else learns which device it was', async () => {
  const [alice, bob, carol] = [await requester(), await withDevices('private'), await withDevices('other')]
  const { task } = await work(alice, bob, 'private', [CARD.id])
  const looks = await Promise.all([
    ...['/v1/network', '/v1/providers', `/v1/providers/${bob.address}`, '/v1/decisions'].map((path) =>
      send('GET', path),
    ),
    send('GET', `/v1/providers/${bob.address}/tasks`),
    send('GET', `/v1/tasks/${task.id}`, alice),
    send('GET', `/v1/tasks/${task.id}/evidence`, alice),
  ])
  for (const { body } of looks) expect(JSON.stringify(body)).not.toContain(CARD.id)
  expect((await earnings(carol)).earned).toBe('0')
  denied(await send('GET', '/v1/provider/earnings', { token: alice.token }), 403, 'forbidden')
  denied(await send('GET', '/v1/provider/earnings', { token: alice.session }), 409, 'not_registered')
})

test('a result names at least one device, and no more than can be registered', async () => {
  const [alice, bob] = [await requester(), await withDevices('bounded')]
  await submit(alice, { ...CHAT, model: 'bounded' })
  const [lease] = (await poll(bob, { free: 1 })).leases.slice(-1)
  const { outcome } = succeeded(lease!.id)
  for (const devices of [[], Array.from({ length: 33 }, (_, i) => `card ${i}`), [''], ['x'.repeat(101)]]) {
    const body = { free: 0, results: [{ lease: lease!.id, outcome: { ...outcome, devices } }] }
    const pointer = `/results/0/outcome/devices${devices.length === 1 ? '/0' : ''}`
    refused(await send('POST', '/v1/provider/poll', { token: bob.token, body }), 'invalid_request', pointer)
  }
})
