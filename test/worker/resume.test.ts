import { expect, test } from 'vitest'
import type { WatchEvent } from '#core/protocol/task.ts'
import {
  CHAT,
  OFFER,
  openEvents,
  openSocket,
  poll,
  provider,
  requester,
  send,
  submit,
  succeeded,
} from '../support/network.ts'

test('who reconnects after any event, by events or by socket, gets exactly the rest', async () => {
  const model = 'resumed'
  const [alice, bob] = [await requester(), await provider([{ ...OFFER, model }])]
  const { id } = await submit(alice, { ...CHAT, model, stream: true })
  const watch = (after: string) =>
    openEvents<{ delta?: string }>(`/v1/tasks/${id}/events`, { token: alice.token, ...(after && { after }) })
  const watchBySocket = (after: string) =>
    openSocket<WatchEvent>(`/v1/tasks/${id}/socket${after && `?after=${after}`}`, alice)

  const deltas = ['un', 'broken', ' ', 'stre', 'ams']
  const watcher = await watch('')
  /** Of each event that came: the cursor a client has by then, and what it has of the text. */
  const points: { after: string; text: string }[] = [{ after: '', text: '' }]
  const hear = async () => {
    const { id: cursor, event, data } = await watcher.next()
    const last = points.at(-1)!
    points.push({ after: cursor ?? last.after, text: last.text + (event === 'output' ? data.delta : '') })
  }
  await hear()
  const [lease] = (await poll(bob, { free: 1 })).leases
  await hear()
  for (const [from, delta] of deltas.slice(0, 3).entries()) {
    await send('PUT', `/v1/leases/${lease!.id}/output`, { token: bob.token, body: { from, deltas: [delta] } })
    await hear()
  }
  expect(points.at(-1)!.text).toBe('unbroken ')

  const resumed = await Promise.all(
    points.map(async ({ after, text }) => ({ text, events: await watch(after), socket: await watchBySocket(after) })),
  )
  await send('PUT', `/v1/leases/${lease!.id}/output`, { token: bob.token, body: { from: 3, deltas: deltas.slice(3) } })
  const whole = deltas.join('')
  await poll(bob, { seen: lease!.seq, results: [succeeded(lease!.id, whole)] })
  for (const { text, events, socket } of resumed) {
    const [heard, told] = [await events.rest(), await socket.rest()]
    const fromEvents = heard.map(({ data }) => data.delta ?? '').join('')
    const fromSocket = told.map((event) => (event.type === 'output' ? event.delta : '')).join('')
    expect([text + fromEvents, text + fromSocket]).toEqual([whole, whole])
    expect([heard.at(-1)!.event, told.at(-1)!.type]).toEqual(['done', 'done'])
    const ids = heard.flatMap((event) => (event.event === 'output' ? [event.id] : []))
    expect(new Set(ids).size).toBe(ids.length)
  }
})
