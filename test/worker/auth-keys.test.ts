import { runInDurableObject } from 'cloudflare:test'
import { beforeAll, expect, test } from 'vitest'
import { parseAmount } from '#core/money.ts'
import type { AccountView, CreateKey, KeyView } from '#core/protocol/account.ts'
import type { TaskView } from '#core/protocol/task.ts'
import type { Account } from '#worker/objects/account.ts'
import {
  bindings,
  CHAT,
  denied,
  type Person,
  type Problem,
  poll,
  provider,
  read,
  requester,
  send,
  submit,
  succeeded,
} from '../support/network.ts'

let alice: Person & { session: string }
let bob: Person

beforeAll(async () => {
  alice = await requester()
  bob = await provider()
})

async function newKey(session: string, wanted: Partial<CreateKey> = {}): Promise<KeyView & { key: string }> {
  const { status, body } = await send<KeyView & { key: string }>('POST', '/v1/keys', {
    token: session,
    body: { name: 'a key', ...wanted },
  })
  if (status !== 201) throw new Error(`making a key answered ${status}`)
  return body
}

const whoAmI = (authorization: string) => send<AccountView>('GET', '/v1/account', { headers: { authorization } })

test('an API key works with its own secret only', async () => {
  const { id, key } = await newKey(alice.session)
  expect((await whoAmI(`Bearer ${key}`)).body.address).toBe(alice.address)
  const wrong = key.slice(0, -1) + (key.endsWith('0') ? '1' : '0')
  denied(await whoAmI(`Bearer ${wrong}`), 401, 'invalid_credentials')
  const foreign = key.replace(alice.address.slice(2), bob.address.slice(2))
  denied(await whoAmI(`Bearer ${foreign}`), 401, 'invalid_credentials')
  const { body } = await send<{ keys: KeyView[] }>('GET', '/v1/keys', { token: alice.session })
  expect(body.keys.find((shown) => shown.id === id)).toEqual({
    id,
    name: 'a key',
    scopes: ['tasks:write', 'tasks:read', 'account:read'],
    createdAt: expect.any(Number),
  })
  expect(JSON.stringify(body)).not.toContain(key.split('_')[3])
})

test('a revoked key is refused', async () => {
  const { id, key } = await newKey(alice.session)
  expect((await send('DELETE', `/v1/keys/${id}`, { token: bob.token })).status).toBe(404)
  expect((await send('DELETE', `/v1/keys/${id}`, { token: alice.session })).status).toBe(204)
  denied(await whoAmI(`Bearer ${key}`), 401, 'invalid_credentials')
  denied(await send('DELETE', `/v1/keys/${id}`, { token: alice.session }), 404, 'not_found')
})

test('a key that was revoked while it was in use cannot draw on its account any more', async () => {
  // The edge believes a key it knows for 30 s more; what it can spend in that time is what its market had drawn before.
  const { id, key } = await newKey(alice.session, { budget: '50' })
  expect((await whoAmI(`Bearer ${key}`)).status).toBe(200)
  await send('DELETE', `/v1/keys/${id}`, { token: alice.session })
  const reply = await send('POST', '/v1/tasks', { token: key, body: CHAT })
  denied(reply, 402, 'insufficient_funds')
})

test('an expired key is refused', async () => {
  const { id, key } = await newKey(alice.session, { expiresInSeconds: 60 })
  await runInDurableObject(bindings.ACCOUNT.getByName(alice.address), (account: Account) => {
    account.key(id)!.expiresAt = Date.now() - 1
  })
  denied(await whoAmI(`Bearer ${key}`), 401, 'expired_token')
})

test('a key does what its scopes say and no more', async () => {
  const { id } = await submit(alice)
  const calls = {
    'tasks:write': () => ['POST', '/v1/tasks/x/cancel', 404] as const,
    'tasks:read': () => ['GET', `/v1/tasks/${id}`, 200] as const,
    'account:read': () => ['GET', '/v1/account', 200] as const,
  }
  for (const scope of Object.keys(calls) as (keyof typeof calls)[]) {
    const { key } = await newKey(alice.session, { scopes: [scope] })
    for (const [needed, call] of Object.entries(calls)) {
      const [method, path, good] = call()
      const reply = await send<Problem>(method, path, { token: key })
      if (needed === scope) expect(reply.status).toBe(good)
      else {
        denied(reply, 403, 'forbidden')
        expect(reply.body.detail).toContain(needed)
      }
    }
  }
})

test('what only the owner may do is refused to a key', async () => {
  const calls = [
    ['GET', '/v1/keys'],
    ['POST', '/v1/keys'],
    ['DELETE', '/v1/keys/000000000000'],
    ['POST', '/v1/account/faucet'],
    ['POST', '/v1/provider/register'],
    ['POST', '/v1/provider/poll'],
    ['GET', '/v1/provider/socket'],
    ['PUT', '/v1/leases/x.1/output'],
  ] as const
  for (const [method, path] of calls) denied(await send(method, path, { token: alice.token }), 403, 'forbidden')
})

test("a key's budget bounds what it spends and holds, over all its tasks", async () => {
  const { key } = await newKey(alice.session, { budget: '0.001' })
  const task = { ...CHAT, maxPrice: '0.0004' }
  const carol = { token: key }
  const [first, second] = [await submit(carol, task), await submit(carol, task)]
  denied(await send('POST', '/v1/tasks', { ...carol, body: task }), 402, 'insufficient_funds')
  await send('POST', `/v1/tasks/${second.id}/cancel`, carol)
  await work(first.id)
  let spent = parseAmount((await read(carol, first.id)).price!)
  expect(spent).toBeGreaterThan(0n)
  for (let status = 201; status === 201; ) {
    const reply = await send<TaskView>('POST', '/v1/tasks', { ...carol, body: task })
    status = reply.status
    if (status !== 201) denied(reply, 402, 'insufficient_funds')
    else {
      await work(reply.body.id, 40)
      spent += parseAmount((await read(carol, reply.body.id)).price!)
    }
  }
  expect(spent).toBeLessThanOrEqual(parseAmount('0.001'))
  expect(spent).toBeGreaterThan(parseAmount('0.0006'))
  expect((await submit({ token: alice.token }, task)).status).toBe('queued')
})

/** Has the provider do one task, and everything before it in the queue. */
async function work(task: string, outputTokens = 4): Promise<void> {
  let seen = 0
  for (;;) {
    const { leases } = await poll(bob, { free: 1, seen })
    if (leases.length === 0) return
    seen = leases[0]!.seq
    const done = leases[0]!.id.startsWith(task)
    await poll(bob, { seen, results: [succeeded(leases[0]!.id, 'hello there', outputTokens)] })
    if (done) return
  }
}
