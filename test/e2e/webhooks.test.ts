import { afterAll, beforeAll, expect, test } from 'vitest'
import { call } from '../../client/edge.ts'
import type { PollAnswer } from '../../core/protocol/lease.ts'
import type { TaskView } from '../../core/protocol/task.ts'
import type { DeliveryView, WebhookView } from '../../core/protocol/webhook.ts'
import { createWorld, type Member, newProvider, newRequester, type World } from '../support/fault-world.ts'
import { eventually } from '../support/ledger.ts'
import { submit } from '../support/real-work.ts'
import { type Behaviour, startWebhookReceiver, verified } from '../support/webhook-receiver.ts'

let world: World
let bob: Member
beforeAll(async () => {
  world = await createWorld()
  bob = await newProvider(world)
  const offers = [{ kind: 'llm.chat', model: 'echo', ask: '0.000001', speed: 100 }]
  await call(bob.caller, 'POST', '/v1/provider/register', { body: { slots: 8, offers } })
})
afterAll(() => world?.end())

type Endpoint = WebhookView & { secret: string }

/** An endpoint of an account and the receiver behind it. */
async function endpoint(owner: Member, behaviour?: Behaviour) {
  const receiver = await startWebhookReceiver(behaviour)
  world.defer(receiver.close)
  const { id, secret } = await call<Endpoint>(owner.caller, 'POST', '/v1/webhooks', {
    body: { url: `${receiver.url}/hook` },
  })
  const deliveries = async () =>
    (await call<{ deliveries: DeliveryView[] }>(owner.caller, 'GET', `/v1/webhooks/${id}/deliveries`)).deliveries
  return { ...receiver, owner, id, secret, deliveries }
}
type Hook = Awaited<ReturnType<typeof endpoint>>

const chat = (webhook: string, more: object = {}) => ({
  kind: 'llm.chat',
  model: 'echo',
  input: { messages: [{ role: 'user', content: 'a secret of mine' }], max_tokens: 20 },
  webhook,
  ...more,
})

async function cancelled({ id: webhook, owner }: Hook): Promise<string> {
  const { id } = await submit(owner, chat(webhook))
  await call(owner.caller, 'POST', `/v1/tasks/${id}/cancel`)
  return id
}

async function leased(): Promise<string[]> {
  const body = { free: 8, seen: 0, waitSeconds: 5 }
  return (await call<PollAnswer>(bob.caller, 'POST', '/v1/provider/poll', { body })).leases.map(({ id }) => id)
}
const finish = (lease: string, outcome: object) =>
  call<PollAnswer>(bob.caller, 'POST', '/v1/provider/poll', {
    body: { free: 0, seen: 0, results: [{ lease, outcome }] },
  })

test('every end of a task is told, signed, once, with the task as its requester sees it', async () => {
  const alice = await newRequester(world)
  const hook = await endpoint(alice)
  const done = await submit(alice, chat(hook.id))
  await finish((await leased())[0]!, {
    status: 'succeeded',
    output: { content: 'hello', finishReason: 'stop' },
    usage: { inputTokens: 3, outputTokens: 1 },
  })
  const poison = await submit(alice, chat(hook.id, { maxAttempts: 1 }))
  await finish((await leased())[0]!, { status: 'failed', error: { code: 'runner_crashed', message: 'it crashed' } })
  const stopped = await cancelled(hook)
  const late = await submit(alice, chat(hook.id, { deadlineSeconds: 1 }))
  await submit(alice, chat(hook.id)) // and one that does not end

  const received = await hook.until(({ length }) => length >= 4)
  const messages = new Map(received.map((one) => [one.id, verified(hook.secret, one)]))
  const told = (id: string) => messages.get(`msg_${id}`)
  expect([done.id, poison.id, stopped, late.id].map((id) => told(id)?.type)).toEqual([
    'task.succeeded',
    'task.failed',
    'task.cancelled',
    'task.expired',
  ])
  const view = await call<TaskView>(alice.caller, 'GET', `/v1/tasks/${done.id}`)
  expect(told(done.id)).toEqual({
    type: 'task.succeeded',
    timestamp: new Date(view.finishedAt!).toISOString(),
    data: view,
  })
  expect(received.map(({ text }) => text).join()).not.toContain('a secret of mine')
  expect(received[0]!.headers).toMatchObject({ 'content-type': 'application/json' })
  const other = await endpoint(alice)
  expect(() => verified(other.secret, received[0]!)).toThrow()

  const log = await eventually('all are delivered', 5000, async () => {
    const deliveries = await hook.deliveries()
    return deliveries.every(({ state }) => state === 'delivered') ? deliveries : undefined
  })
  expect(log.map(({ task }) => task).sort()).toEqual([done.id, poison.id, stopped, late.id].sort())
  expect(log.find(({ task }) => task === done.id)).toEqual({
    id: `msg_${done.id}`,
    event: 'task.succeeded',
    task: done.id,
    state: 'delivered',
    createdAt: expect.any(Number),
    attempts: 1,
    status: 204,
  })
  expect(hook.received).toHaveLength(4)
})

test('a message that was on its way when the edge was killed comes again, under the same id', async () => {
  const hook = await endpoint(await newRequester(world), () => (hook.received.length > 1 ? 204 : undefined))
  const id = await cancelled(hook)
  await hook.until(({ length }) => length >= 1)
  await world.crash()
  const [first, second] = await hook.until(({ length }) => length >= 2)
  expect([first!.id, second!.id]).toEqual([`msg_${id}`, `msg_${id}`])
  expect(second!.text).toBe(first!.text)
  await eventually('it is delivered', 5000, async () =>
    (await hook.deliveries()).find(({ state }) => state === 'delivered'),
  )
})

test('no end of a task that was acknowledged goes untold when the edge is killed at once', async () => {
  const hook = await endpoint(await newRequester(world))
  const ids = await Promise.all(Array.from({ length: 20 }, () => cancelled(hook)))
  await world.crash()
  const told = () => new Set(hook.received.map(({ id }) => id))
  await hook.until(() => told().size >= ids.length)
  expect([...told()].sort()).toEqual(ids.map((id) => `msg_${id}`).sort())
})

test.concurrent('what was not taken is sent again, under the same id and with a new time', async ({ expect }) => {
  const hook = await endpoint(await newRequester(world), () => (hook.received.length > 1 ? 200 : 500))
  const id = await cancelled(hook)
  const [first, second] = await hook.until(({ length }) => length >= 2)
  expect([first!.id, second!.id]).toEqual([`msg_${id}`, `msg_${id}`])
  expect(second!.text).toBe(first!.text)
  expect(Number(second!.headers['webhook-timestamp'])).toBeGreaterThan(Number(first!.headers['webhook-timestamp']))
  verified(hook.secret, second!)
  const delivered = await eventually('it is delivered', 5000, async () =>
    (await hook.deliveries()).find(({ state }) => state === 'delivered'),
  )
  expect(delivered).toMatchObject({ attempts: 2, status: 200 })
})

test.concurrent('a redirect is not followed', async ({ expect }) => {
  const owner = await newRequester(world)
  const target = await endpoint(owner)
  const hook = await endpoint(owner, (_, response) => void response.writeHead(302, { location: target.url }).end())
  await cancelled(hook)
  const tried = await eventually('it was tried', 5000, async () =>
    (await hook.deliveries()).find(({ status }) => status !== undefined),
  )
  expect(tried).toMatchObject({ state: 'pending', attempts: 1, status: 302, nextAttemptAt: expect.any(Number) })
  expect(target.received).toEqual([])
})

test.concurrent('an endless answer is not read', async () => {
  const cut = Promise.withResolvers<void>()
  const hook = await endpoint(await newRequester(world), (_, response) => {
    response.writeHead(200)
    const pour = () => {
      while (!response.destroyed && response.write('x'.repeat(65_536))) {}
    }
    response.on('drain', pour).on('close', cut.resolve)
    pour()
    return undefined
  })
  await cancelled(hook)
  await cut.promise
  await eventually('it is delivered', 5000, async () =>
    (await hook.deliveries()).find(({ state }) => state === 'delivered'),
  )
})

test.concurrent('an endpoint that says it is gone is sent nothing more', async ({ expect }) => {
  const hook = await endpoint(await newRequester(world), () => 410)
  const { caller } = hook.owner
  await cancelled(hook)
  const disabled = await eventually('it is disabled', 10_000, async () => {
    const { webhooks } = await call<{ webhooks: WebhookView[] }>(caller, 'GET', '/v1/webhooks')
    return webhooks.find(({ disabledAt }) => disabledAt !== undefined)
  })
  expect(disabled.id).toBe(hook.id)
  expect(await hook.deliveries()).toMatchObject([{ state: 'failed', status: 410 }])
  await expect(submit(hook.owner, chat(hook.id))).rejects.toMatchObject({ code: 'webhook_not_found' })
})

test.concurrent('a receiver that does not answer is left after ten seconds', async ({ expect }) => {
  const silent = await endpoint(await newRequester(world), () => undefined)
  await cancelled(silent)
  const left = await eventually('it is left', 20_000, async () =>
    (await silent.deliveries()).find(({ failure }) => failure !== undefined),
  )
  expect(left).toMatchObject({ state: 'pending', failure: 'no answer within 10 s' })
})
