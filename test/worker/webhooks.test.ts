import { createExecutionContext, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { beforeAll, expect, test } from 'vitest'
import type { CostView } from '#core/cost.ts'
import { LIMITS } from '#core/protocol/values.ts'
import type { DeliveryView, WebhookView } from '#core/protocol/webhook.ts'
import worker from '#worker/index.ts'
import type { Account } from '#worker/objects/account.ts'
import type { AccountWebhooks } from '#worker/objects/account-webhooks.ts'
import {
  bindings,
  CHAT,
  denied,
  ledger,
  market,
  ORIGIN,
  type Person,
  provider,
  requester,
  send,
  submit,
} from '../support/network.ts'

/** A port of this machine on which nothing listens. */
const NOBODY = 'http://127.0.0.1:9/hook'

type Made = WebhookView & { secret: string }
let alice: Person & { session: string }
let bob: Person & { session: string }

beforeAll(async () => {
  ;[alice, bob] = await Promise.all([requester(), requester()])
  await provider()
})

const make = (who: { token: string }, url: unknown = NOBODY) =>
  send<Made>('POST', '/v1/webhooks', { token: who.token, body: { url } })
const list = async (who: { token: string }) =>
  (await send<{ webhooks: WebhookView[] }>('GET', '/v1/webhooks', who)).body.webhooks
const deliveries = async (who: { token: string }, id: string, query = '') =>
  (await send<{ deliveries: DeliveryView[] }>('GET', `/v1/webhooks/${id}/deliveries${query}`, who)).body.deliveries

test('an endpoint is made with a secret that is shown once, listed, and removed', async () => {
  const who = await requester()
  const { status, body } = await make(who, 'HTTP://LocalHost:80/a hook')
  const { secret, ...view } = body
  expect([status, view]).toEqual([
    201,
    { id: expect.stringMatching(/^wh_[0-9a-f]{16}$/), url: 'http://localhost/a%20hook', createdAt: expect.any(Number) },
  ])
  expect(atob(secret.replace('whsec_', ''))).toHaveLength(32)
  expect(await list(who)).toEqual([view])
  expect((await send('DELETE', `/v1/webhooks/${view.id}`, who)).status).toBe(204)
  expect(await list(who)).toEqual([])
  denied(await send('DELETE', `/v1/webhooks/${view.id}`, who), 404, 'webhook_not_found')
})

test('an endpoint is its owner’s alone', async () => {
  const { id } = (await make(alice)).body
  denied(await send('DELETE', `/v1/webhooks/${id}`, bob), 404, 'webhook_not_found')
  denied(await send('GET', `/v1/webhooks/${id}/deliveries`, bob), 404, 'webhook_not_found')
  const before = await ledger(bob)
  const task = { ...CHAT, webhook: id }
  denied(await send('POST', '/v1/tasks', { token: bob.token, body: task }), 404, 'webhook_not_found', '/webhook')
  const batch = [CHAT, task]
  denied(await send('POST', '/v1/tasks', { token: bob.token, body: batch }), 404, 'webhook_not_found', '/1/webhook')
  expect(await ledger(bob)).toEqual(before)
  expect((await list(alice)).map((hook) => hook.id)).toContain(id)
})

test('scopes bound what a key may do with endpoints', async () => {
  const keyOf = async (scopes: string[]) => {
    const call = { token: alice.session, body: { name: 'some', scopes } }
    return { token: (await send<{ key: string }>('POST', '/v1/keys', call)).body.key }
  }
  const [reader, writer] = [await keyOf(['tasks:read']), await keyOf(['tasks:write'])]
  denied(await make(reader), 403, 'forbidden')
  denied(await send('GET', '/v1/webhooks', writer), 403, 'forbidden')
  denied(await send('DELETE', '/v1/webhooks/x', reader), 403, 'forbidden')
  expect((await make(writer)).status).toBe(201)
  denied(await send('POST', '/v1/webhooks', { body: { url: NOBODY } }), 401, 'missing_credentials')
})

test('what is no endpoint is refused', async () => {
  denied(await make(alice, 'ftp://127.0.0.1/'), 422, 'webhook_url_refused', '/url')
  denied(await make(alice, 'http://a:b@127.0.0.1/'), 422, 'webhook_url_refused', '/url')
  denied(await make(alice, 7), 422, 'invalid_request', '/url')
  const who = await requester()
  for (let i = 0; i < LIMITS.webhooks; i++) expect((await make(who)).status).toBe(201)
  denied(await make(who), 403, 'webhook_limit')
})

test.each([
  NOBODY,
  'https://127.0.0.1/',
  'https://2130706433/',
  'https://0x7f.1/',
  'https://017700000001/',
  'https://127.0.0.1./',
  'https://[::1]/',
  'https://[::ffff:7f00:1]/',
  'https://[::ffff:169.254.169.254]/',
  'https://169.254.169.254/latest/meta-data/',
  'https://metadata.google.internal/',
  'https://localhost./',
  'http://hooks.example.com/',
])('outside of development %s is refused', async (url) => {
  const incoming = new Request(`${ORIGIN}/v1/webhooks`, {
    method: 'POST',
    headers: { authorization: `Bearer ${alice.session}`, 'content-type': 'application/json' },
    body: JSON.stringify({ url }),
  }) as Parameters<typeof worker.fetch>[0]
  const production = { ...bindings, DEV: 'false' }
  const answer = await worker.fetch(incoming, production, createExecutionContext())
  expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([422, 'webhook_url_refused'])
})

const account = (who: Person) => bindings.ACCOUNT.getByName(who.address)

async function cancelled(who: Person, webhook: string): Promise<string> {
  const { id } = await submit(who, { ...CHAT, webhook } as typeof CHAT)
  await send('POST', `/v1/tasks/${id}/cancel`, who)
  await runDurableObjectAlarm(market())
  return id
}

/** Sends what is pending, as if every wait were over. */
async function deliverNow(who: Person, webhook: string): Promise<void> {
  await runInDurableObject(account(who), async (object: Account, { storage }) => {
    storage.sql.exec('update deliveries set due = 0 where due is not null')
    await (object as unknown as { hooks: AccountWebhooks }).hooks.deliver(webhook)
  })
}

test('a delivery is tried eight times and then given up; the log tells how it went', async () => {
  const who = await requester()
  const { id } = (await make(who)).body
  const task = await cancelled(who, id)
  await deliverNow(who, id)
  expect(await deliveries(who, id)).toEqual([
    {
      id: `msg_${task}`,
      event: 'task.cancelled',
      task,
      state: 'pending',
      createdAt: expect.any(Number),
      attempts: expect.any(Number),
      nextAttemptAt: expect.any(Number),
      failure: 'no connection',
    },
  ])
  for (let i = 0; i < 8; i++) await deliverNow(who, id)
  const [delivery] = await deliveries(who, id)
  expect(delivery).toMatchObject({ state: 'failed', attempts: 8, failure: 'no connection' })
  expect(delivery).not.toHaveProperty('nextAttemptAt')
})

test('a market that tells an end again is heard once', async () => {
  const who = await requester()
  const { id } = (await make(who)).body
  const task = await cancelled(who, id)
  const notice = { webhook: id, task, event: 'task.cancelled' as const }
  await account(who).notify([notice, notice])
  await account(who).notify([notice, { ...notice, webhook: 'wh_unknown' }])
  expect((await deliveries(who, id)).map((delivery) => delivery.task)).toEqual([task])
})

test('the log is read page by page, latest first', async () => {
  const who = await requester()
  const { id } = (await make(who)).body
  const tasks = Array.from({ length: 130 }, (_, i) => `c1-000000000${String(i).padStart(8, '0')}`)
  const event = 'task.cancelled' as const
  await account(who).notify(tasks.map((task) => ({ webhook: id, task, event })))
  const first = await deliveries(who, id)
  const second = await deliveries(who, id, `?before=${first.at(-1)!.task}`)
  expect([first.length, second.length]).toEqual([100, 30])
  expect([...first, ...second].map(({ task }) => task)).toEqual(tasks.toReversed())
})

test('a task without a webhook costs its account and its market not a row more', async () => {
  const who = await requester()
  const rows = async () =>
    (await send<CostView>('GET', '/v1/network/cost')).body.parts
      .filter(({ part }) => part !== 'database')
      .reduce((sum, { rowsWritten }) => sum + rowsWritten, 0)
  await submit(who)
  const { id } = await submit(who)
  const before = await rows()
  await send('POST', `/v1/tasks/${id}/cancel`, who)
  expect((await rows()) - before).toBeLessThanOrEqual(2)
})
