/** Reputations as the real Worker tells them, counted again from its public log. */
import { createScheduledController } from 'cloudflare:test'
import { expect, test } from 'vitest'
import { connect } from '#client/daicn.ts'
import { verifyLog } from '#client/log.ts'
import { linesOf } from '#client/reputation.ts'
import { hourName, hourOf, TaskRecord } from '#core/public-log.ts'
import { added, NEWCOMER } from '#core/reputation.ts'
import type { RequesterReputation, RequesterReputations } from '#core/requester-reputation.ts'
import worker from '#worker/index.ts'
import {
  bindings,
  CHAT,
  failed,
  OFFER,
  ORIGIN,
  type Person,
  poll,
  provider,
  request,
  requester,
  send,
  submit,
  succeeded,
  work,
} from '../support/network.ts'

const offers = [OFFER, { ...OFFER, model: 'other' }]
const fetch = ((url: URL, init?: RequestInit) => request(url.pathname + url.search, init)) as typeof globalThis.fetch
const daicn = connect({ edge: ORIGIN, fetch })
const flush = () => worker.scheduled(createScheduledController({ cron: '* * * * *' }), bindings)

async function lines(): Promise<TaskRecord[]> {
  const records: TaskRecord[] = []
  for await (const line of linesOf({ edge: ORIGIN, fetch }, hourName(hourOf(Date.now())))) {
    records.push(TaskRecord.strict().parse(JSON.parse(line)))
  }
  return records
}

/** A task that the first provider fails and the second does. */
async function fumble(alice: Person, first: Person, second: Person): Promise<string> {
  const task = await submit(alice)
  const [lease] = (await poll(first, { free: 1 })).leases.slice(-1)
  await poll(first, { seen: lease!.seq, results: [failed(lease!.id, 'a secret of the task')] })
  const [next] = (await poll(second, { free: 1, waitSeconds: 5 })).leases.slice(-1)
  await poll(second, { seen: next!.seq, results: [succeeded(next!.id)] })
  return task.id
}

test('anybody counts every reputation again from the public log, to the bit, and sees when one is wrong', async () => {
  const [alice, bob, carol] = [await requester(), await provider(offers), await provider(offers)]
  for (let i = 0; i < 5; i++) await work(alice, bob)
  await work(alice, bob, 'other')
  const fumbled = await fumble(alice, bob, carol)
  const cancelled = await submit(alice)
  await send('POST', `/v1/tasks/${cancelled.id}/cancel`, alice)

  const early = await daicn.checkReputations()
  expect(early.map(({ counted, ok }) => [counted, ok])).toEqual([...Array(3)].map(() => [null, false]))
  await flush()
  const all = await daicn.checkReputations()
  expect(all.map(({ ok, told, counted }) => [ok, counted, told.provider, told.model, told.outcomes])).toEqual([
    [true, all[0]!.told, bob.address, 'echo', 6],
    [true, all[1]!.told, bob.address, 'other', 1],
    [true, all[2]!.told, carol.address, 'echo', 1],
  ])
  expect(all[0]!.told).toMatchObject({ successes: 5, failures: 1 })
  expect(await daicn.reputations({ provider: carol.address })).toEqual([all[2]!.told])

  // One that changed after it was told is not counted further than that.
  const told = await daicn.reputations()
  await work(alice, bob)
  await flush()
  expect((await daicn.checkReputations()).every(({ ok }) => ok)).toBe(true)
  expect(await daicn.reputations()).not.toEqual(told)

  const log = await lines()
  expect(log.map(({ status }) => status)).toEqual([...Array(7).fill('succeeded'), 'cancelled', 'succeeded'])
  expect(log.find(({ id }) => id === fumbled)!.attempts.map(({ state }) => state)).toEqual(['failed', 'succeeded'])
  expect(JSON.stringify(log)).not.toMatch(new RegExp(`secret|hello|${alice.address}`))
  const { body } = await send<{ hours: unknown[] }>('GET', '/v1/exports')
  expect(body.hours).toEqual([{ hour: hourName(hourOf(log.at(-1)!.finishedAt)), records: 9 }])

  await bindings.DB.exec(`update task_pages set tasks = replace(tasks, '${carol.address}', '${bob.address}')`)
  const tampered = await daicn.checkReputations()
  expect(tampered.map(({ ok }) => ok)).toEqual([false, true, false])
})

test('a requester has a reputation that it alone knows to be its own, and that anybody counts again from the closed hours', async () => {
  const [alice, bob] = [await requester(), await provider([{ ...OFFER, model: 'asked' }])]
  const ask = () => submit(alice, { ...CHAT, model: 'asked' })
  const own = async () => (await send<RequesterReputation>('GET', '/v1/account/reputation', alice)).body
  const cancel = (id: string) => send('POST', `/v1/tasks/${id}/cancel`, alice)
  const name = (await own()).requester
  expect(await own()).toMatchObject({ outcomes: 0, successes: 0, failures: 0, score: 0.02 })
  for (let i = 0; i < 3; i++) await work(alice, bob, 'asked')
  // Only the second had cost anybody anything.
  await cancel((await ask()).id)
  const begun = await ask()
  expect((await poll(bob, { free: 1 })).leases).toHaveLength(1)
  await cancel(begun.id)

  const close = (hours: number) => {
    const scheduledTime = new Date(Date.now() + hours * 3_600_000)
    return worker.scheduled(createScheduledController({ cron: '* * * * *', scheduledTime }), bindings)
  }
  await close(1)
  expect(await own()).toMatchObject({ requester: name, outcomes: 4, successes: 3, failures: 1 })
  await work(alice, bob, 'asked')
  await close(2)
  // An hour that is closed ahead of the clock may be tomorrow's, when what was done today counts less.
  const day = (hours: number) => Math.floor(Date.now() / 86_400_000 + hours / 24)
  const before = added(NEWCOMER, { day: day(0), successes: 3, failures: 1 })
  const { successes, failures } = added(before, { day: day(1), successes: 1, failures: 0 })
  if (day(0) === day(1)) expect([successes, failures]).toEqual([4, 1])
  expect(await own()).toMatchObject({ outcomes: 5, successes, failures })

  const all = await daicn.checkRequesters()
  expect(all.every(({ ok }) => ok)).toBe(true)
  expect(all.find(({ told }) => told.requester === name)!.counted).toEqual(await own())
  const { body } = await send<RequesterReputations>('GET', '/v1/reputations/requesters')
  expect(JSON.stringify(body)).not.toContain(alice.address.slice(2))
  expect(body.until).toBe(hourName(hourOf(Date.now() + 3_600_000)))

  await bindings.DB.exec(
    `update requester_hours set cancelled = cancelled + 1 where requester = '${name}' and succeeded = 1`,
  )
  const hour = await (await request(`/v1/exports/${hourName(hourOf(Date.now()))}`)).text()
  expect(hour).toContain(`{"requester":"${name}","succeeded":3,"cancelled":1}`)
  expect((await verifyLog([hour])).ok).toBe(true)
  const changed = await (await request(`/v1/exports/${body.until}`)).text()
  expect((await verifyLog([changed])).ok).toBe(false)
})

test('an hour that is none is refused, and one without anything is empty', async () => {
  expect(await send('GET', '/v1/exports/yesterday')).toMatchObject({ status: 422, body: { code: 'invalid_request' } })
  expect(await (await request('/v1/exports/2001-01-01T00')).text()).toBe('')
})
