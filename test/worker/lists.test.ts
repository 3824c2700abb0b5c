import { runDurableObjectAlarm } from 'cloudflare:test'
import { expect, test } from 'vitest'
import { cursorOf, type ProviderList, type ProviderView } from '#core/directory.ts'
import type { TaskList } from '#core/task-list.ts'
import {
  bindings,
  CHAT,
  denied,
  market,
  OFFER,
  person,
  poll,
  provider,
  refused,
  requester,
  send,
  submit,
  work,
} from '../support/network.ts'

const list = async (who: { token: string }, query = '') => (await send<TaskList>('GET', `/v1/tasks${query}`, who)).body
const ids = ({ tasks }: TaskList) => tasks.map(({ id }) => id)

test('an account lists its own tasks, open and ended, and no others', async () => {
  const [alice, eve, bob] = [
    await requester(),
    await requester(),
    await provider([OFFER, { ...OFFER, model: 'later' }]),
  ]
  const done = await work(alice, bob)
  const open = await submit(alice, { ...CHAT, model: 'later' })
  await submit(eve, { ...CHAT, model: 'later' })

  const all = await list(alice)
  expect(all.next).toBeNull()
  expect(ids(all)).toEqual([open.id, done.id])
  expect(all.tasks[1]).toMatchObject({ status: 'succeeded', provider: bob.address })
  expect(all.tasks[1]).not.toHaveProperty('requester')
  expect(ids(await list(alice, '?status=succeeded'))).toEqual([done.id])
  expect(ids(await list(alice, '?status=queued&kind=llm.chat'))).toEqual([open.id])
  expect(ids(await list(alice, '?model=echo'))).toEqual([done.id])
  refused(await send('GET', '/v1/tasks?status=lost', alice), 'invalid_request', '?status')
  refused(await send('GET', '/v1/tasks?before=x', alice), 'invalid_request', '?before')
  denied(await send('GET', '/v1/tasks'), 401, 'missing_credentials')
})

test('a task is listed once, in memory, packed and in the history', async () => {
  const [alice, bob] = [await requester(), await provider([{ ...OFFER, model: 'packed' }])]
  const done = await work(alice, bob, 'packed')
  expect(ids(await list(alice))).toEqual([done.id])
  // The market hands what has ended to the history in its own time; an alarm is all it takes.
  const isKept = async () => {
    await runDurableObjectAlarm(market())
    const rows = await bindings.DB.prepare('select 1 from task_pages where instr(tasks, ?) > 0').bind(done.id).all()
    return rows.results.length > 0
  }
  await expect.poll(isKept, { timeout: 15_000 }).toBe(true)
  const [kept] = (await list(alice)).tasks
  expect(kept).toMatchObject({ id: done.id, status: 'succeeded', provider: bob.address, model: 'packed' })
  expect((await list(alice)).tasks).toHaveLength(1)
  expect(ids((await send<TaskList>('GET', `/v1/providers/${bob.address}/tasks`)).body)).toEqual([done.id])
})

test('a long history is read in several answers, each going on where the last one ended', async () => {
  const [alice, eve] = [await requester(), await person()]
  const page = (pack: number, requester: string, count: number) => {
    const tasks = Array.from({ length: count }, (_, i) => ({
      requester,
      id: `c9-${String(pack).padStart(9, '0')}${String(i).padStart(8, '0')}`,
      kind: 'llm.chat',
      model: 'old',
      status: i % 2 ? 'failed' : 'succeeded',
      createdAt: pack * 1000 + i,
    }))
    return bindings.DB.prepare(
      'insert into task_pages (cell, pack, first_at, last_at, count, tasks) values (?, ?, ?, ?, ?, ?)',
    )
      .bind('c9', pack, pack * 1000, pack * 1000 + count, count, JSON.stringify(tasks))
      .run()
  }
  for (let pack = 1; pack <= 3; pack++) await page(pack, alice.address, 30)
  await page(4, eve.address, 30)
  const first = await list(alice)
  expect(first.tasks.map(({ createdAt }) => createdAt)[0]).toBe(3029)
  expect(first.tasks).toHaveLength(60)
  const second = await list(alice, `?before=${first.next}`)
  expect(second.tasks).toHaveLength(30)
  expect(second.next).toBeNull()
  expect(new Set([...ids(first), ...ids(second)]).size).toBe(90)
  expect((await list(alice, '?status=failed')).tasks).toHaveLength(30)
})

test('a provider is shown beside the others of its classes', async () => {
  const offer = { ...OFFER, model: 'shared' }
  const [bob, carol, dave] = [
    await provider([offer, { ...OFFER, model: 'alone' }]),
    await provider([{ ...offer, ask: '0.000003', speed: 50 }]),
    await provider([{ ...offer, ask: '0.000002', speed: 400 }]),
  ]
  for (const one of [bob, carol, dave]) await poll(one, {})
  const { body } = await send<ProviderView>('GET', `/v1/providers/${bob.address}`)
  expect(body).toMatchObject({ address: bob.address, active: true, succeeded: 0, earned: '0' })
  expect(body.offers.map(({ model, others }) => [model, others])).toEqual([
    ['shared', { providers: 2, medianAsk: '0.000002', medianSpeed: 50 }],
    ['alone', { providers: 0, medianAsk: null, medianSpeed: null }],
  ])
  const { providers, next } = (await send<ProviderList>('GET', '/v1/providers')).body
  expect(next).toBeNull()
  expect(providers[body.rank - 1]!.address).toBe(bob.address)
  const after = (await send<ProviderList>('GET', `/v1/providers?after=${cursorOf(providers[0]!)}`)).body
  expect(after.providers.map(({ address }) => address)).toEqual(providers.slice(1).map(({ address }) => address))
  refused(await send('GET', `/v1/providers/0x${'0'.repeat(40)}`), 'provider_not_found')
  refused(await send('GET', '/v1/providers/nobody'), 'invalid_request')
})
