import { evictDurableObject } from 'cloudflare:test'
import { beforeAll, expect, test } from 'vitest'
import { GRACE_MS } from '#core/lease.ts'
import type { EdgeFrame, Lease, Poll } from '#core/protocol/lease.ts'
import type { TaskView } from '#core/protocol/task.ts'
import {
  CHAT,
  market,
  OFFER,
  openSocket,
  type Person,
  person,
  poll,
  provider,
  read,
  requester,
  send,
  submit,
  succeeded,
} from '../support/network.ts'

let alice: Person & { session: string }
let models = 0

beforeAll(async () => {
  alice = await requester()
})

type Answer = Extract<EdgeFrame, { type: 'answer' }>

/** A provider of a model of its own on a socket, ready for work. */
async function connected(free = 1) {
  const model = `socket-${models++}`
  const bob = await provider([{ ...OFFER, model }])
  const socket = await reconnected(bob, { free })
  return { model, bob, socket, task: () => submit(alice, { ...CHAT, model }) }
}

async function reconnected(bob: Person, call: Partial<Poll>) {
  const { next, rest, send, close } = await openSocket<EdgeFrame>('/v1/provider/socket', bob)
  const ask = (frame: Partial<Poll>) => send({ type: 'poll', free: 0, ...frame })
  const answer = async () => (await next()) as Answer
  /** Asks, and waits until all its results were answered; work that was pushed meanwhile counts as told. */
  const told = async (frame: Partial<Poll>) => {
    ask(frame)
    const all = await answer()
    const leases = new Map(all.leases.map((lease) => [lease.id, lease]))
    while (all.results.length < (frame.results?.length ?? 0)) {
      const more = await answer()
      all.results.push(...more.results)
      for (const lease of more.leases) leases.set(lease.id, lease)
    }
    return { ...all, leases: [...leases.values()] }
  }
  expect(await told(call)).toMatchObject({ type: 'answer' })
  return { answer, told, ask, next, rest, send, close }
}

test('work is pushed to a socket the moment it comes, as much as the provider has room for', async () => {
  const { socket, task, bob } = await connected(2)
  const tasks = [await task(), await task(), await task()]
  const leases = [...(await socket.answer()).leases, ...(await socket.answer()).leases]
  expect(leases.map(({ id }) => id)).toEqual(tasks.slice(0, 2).map(({ id }) => `${id}.1`))
  expect((await read(alice, tasks[2]!.id)).status).toBe('queued')
  const { results, leases: more } = await socket.told({
    free: 1,
    seen: 2,
    results: [succeeded(leases[0]!.id)],
    renew: [leases[1]!.id],
  })
  expect(results).toEqual([{ lease: leases[0]!.id, accepted: true }])
  expect(more.map(({ id }) => id)).toEqual([`${tasks[2]!.id}.1`])
  expect(await read(alice, tasks[1]!.id)).toMatchObject({ status: 'running', provider: bob.address })
})

test('a ping is answered, and so is what makes no sense', async () => {
  const { socket } = await connected()
  socket.send('ping')
  expect(await socket.next()).toBe('pong')
  for (const frame of ['{', '[]', '"poll"', '{"type":"poll"}', '{"type":"shout"}', '{"type":"poll","free":1,"x":1}']) {
    socket.send(frame)
    expect(await socket.next()).toEqual({
      type: 'error',
      problem: { code: 'invalid_request', title: expect.stringMatching(/./) },
    })
  }
  expect(await socket.told({ free: 1 })).toMatchObject({ type: 'answer', leases: [] })
})

test('a socket of somebody who is not registered is told to register', async () => {
  const socket = await openSocket<EdgeFrame>('/v1/provider/socket', await person())
  socket.send({ type: 'poll', free: 1 })
  expect(await socket.next()).toMatchObject({ type: 'error', problem: { code: 'not_registered' } })
  socket.close()
})

test('a lease whose task was cancelled is revoked by the socket', async () => {
  const { socket, task } = await connected()
  const { id } = await task()
  const [lease] = (await socket.answer()).leases
  await send('POST', `/v1/tasks/${id}/cancel`, alice)
  expect(await socket.answer()).toMatchObject({ leases: [], revoked: [lease!.id] })
})

test('an answer that got lost with its socket is told again on the next', async () => {
  const { socket, task, bob } = await connected()
  const { id } = await task()
  await socket.answer()
  const second = await openSocket<EdgeFrame>('/v1/provider/socket', bob)
  second.send({ type: 'poll', free: 0, seen: 0 })
  expect(((await second.next()) as Answer).leases.map((lease: Lease) => lease.id)).toEqual([`${id}.1`])
  second.close()
})

test('a socket that closes gives its leases to others after the grace', async () => {
  const { socket, task, model, bob } = await connected()
  const { id } = await task()
  const [lease] = (await socket.answer()).leases
  const closedAt = Date.now()
  socket.close()
  const carol = await provider([{ ...OFFER, model }])
  const [second] = (await poll(carol, { free: 1, waitSeconds: 10 })).leases
  expect(second!.id).toBe(`${id}.2`)
  expect(Date.now() - closedAt).toBeGreaterThanOrEqual(GRACE_MS - 100)
  const back = await reconnected(bob, { free: 0, seen: lease!.seq, renew: [lease!.id] })
  back.close()
  await poll(carol, { seen: second!.seq, results: [succeeded(second!.id)] })
  const done = await read(alice, id)
  expect(done).toMatchObject({ status: 'succeeded', provider: carol.address })
  expect(done.attempts.map(({ state }) => state)).toEqual(['lost', 'succeeded'])
})

test('a provider that comes back in time keeps its leases', async () => {
  const { socket, task, model, bob } = await connected()
  const { id } = await task()
  const [lease] = (await socket.answer()).leases
  socket.close()
  const back = await reconnected(bob, { free: 0, seen: lease!.seq, renew: [lease!.id] })
  const carol = await provider([{ ...OFFER, model }])
  const others = await poll(carol, { free: 1, waitSeconds: GRACE_MS / 1000 + 1 })
  expect(others.leases).toEqual([])
  const { results } = await back.told({ seen: lease!.seq, results: [succeeded(lease!.id)] })
  expect(results).toEqual([{ lease: lease!.id, accepted: true }])
  expect((await read(alice, id)).attempts).toMatchObject([{ number: 1, state: 'succeeded' }])
  back.close()
})

test('a second socket of the same provider keeps its leases when the first closes', async () => {
  const { socket, task, bob } = await connected()
  const { id } = await task()
  const [lease] = (await socket.answer()).leases
  const second = await reconnected(bob, { free: 0, seen: lease!.seq, renew: [lease!.id] })
  socket.close()
  await socket.rest()
  const { results } = await second.told({ seen: lease!.seq, results: [succeeded(lease!.id)] })
  expect(results).toEqual([{ lease: lease!.id, accepted: true }])
  expect((await read(alice, id)).attempts).toHaveLength(1)
  second.close()
})

test('a market that is evicted while its sockets sleep keeps handing out work through them', async () => {
  const { socket, task } = await connected(2)
  const first = await task()
  const [lease] = (await socket.answer()).leases
  for (const round of [1, 2]) {
    await evictDurableObject(market())
    if (round === 1) {
      const second = await task()
      const pushed = await socket.answer()
      expect(pushed.leases.map(({ id }) => id)).toContain(`${second.id}.1`)
      const results = pushed.leases.map(({ id }) => succeeded(id))
      const seen = Math.max(...pushed.leases.map(({ seq }) => seq))
      const receipts = await socket.told({ free: 1, seen, results, renew: [lease!.id] })
      expect(receipts.results.every(({ accepted }) => accepted)).toBe(true)
    } else {
      const third = await task()
      expect((await socket.answer()).leases.map(({ id }) => id)).toEqual([`${third.id}.1`])
      const { body } = await send<TaskView>('POST', `/v1/tasks/${third.id}/cancel`, alice)
      expect(body.status).toBe('cancelled')
    }
  }
  expect((await read(alice, first.id)).attempts).toHaveLength(1)
  socket.close()
})
