import { evictDurableObject } from 'cloudflare:test'
import { expect, test } from 'vitest'
import type { TaskStatus, TaskView } from '#core/protocol/task.ts'
import {
  accountOf,
  bindings,
  CHAT,
  denied,
  failed,
  OFFER,
  poll,
  provider,
  read,
  requester,
  send,
  submit,
  succeeded,
} from '../support/network.ts'

const cancel = (who: { token: string }, id: string) => send<TaskView>('POST', `/v1/tasks/${id}/cancel`, who)

test.each<TaskStatus>(['queued', 'leased', 'running', 'succeeded', 'failed', 'expired', 'cancelled'])(
  'a task that is %s can be cancelled any number of times, with one answer',
  async (status) => {
    const model = `cancel-${status}`
    const [alice, bob] = [await requester(), await provider([{ ...OFFER, model }])]
    const deadlineSeconds = status === 'expired' ? 1 : 600
    const { id } = await submit(alice, { ...CHAT, model, deadlineSeconds, maxAttempts: 1 })
    const take = async () => (await poll(bob, { free: 1 })).leases[0]!
    switch (status) {
      case 'leased':
        await take()
        break
      case 'running': {
        const lease = await take()
        await poll(bob, { seen: lease.seq, renew: [lease.id] })
        break
      }
      case 'succeeded':
      case 'failed': {
        const lease = await take()
        const result = status === 'succeeded' ? succeeded(lease.id) : failed(lease.id)
        await poll(bob, { seen: lease.seq, results: [result] })
        break
      }
      case 'expired':
        await send('GET', `/v1/tasks/${id}?waitSeconds=20`, alice)
        break
      case 'cancelled':
        await cancel(alice, id)
    }
    const before = await read(alice, id)
    expect(before.status).toBe(status)

    const first = await cancel(alice, id)
    const isOpen = status === 'queued' || status === 'leased' || status === 'running'
    expect(first.status).toBe(200)
    if (isOpen) expect(first.body).toMatchObject({ id, status: 'cancelled', price: '0' })
    else expect(first.body).toEqual(before)
    expect((await cancel(alice, id)).body).toEqual(first.body)
    await evictDurableObject(bindings.MARKET.getByName('c1'))
    expect((await cancel(alice, id)).body).toEqual(first.body)
    expect(await accountOf(alice)).toMatchObject({ held: '0', spent: status === 'succeeded' ? before.price : '0' })
    const working = status === 'leased' || status === 'running' ? [`${id}.1`] : []
    const { revoked } = await poll(bob, { seen: 1, renew: working })
    expect([...new Set(revoked)]).toEqual(working)
  },
)

test('nobody can cancel the task of another', async () => {
  const [alice, mallory] = [await requester(), await requester()]
  await provider([{ ...OFFER, model: 'cancel-other' }])
  const { id } = await submit(alice, { ...CHAT, model: 'cancel-other' })
  denied(await cancel(mallory, id), 404, 'task_not_found')
  expect((await read(alice, id)).status).toBe('queued')
})
