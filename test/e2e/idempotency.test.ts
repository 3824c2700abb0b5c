import { afterAll, beforeAll, expect, test } from 'vitest'
import { call } from '../../client/edge.ts'
import { parseAmount } from '../../core/money.ts'
import type { NetworkSnapshot } from '../../core/protocol/network.ts'
import type { TaskView } from '../../core/protocol/task.ts'
import { createWorld, type Member, newRequester, unlessDown, type World } from '../support/fault-world.ts'
import { readBalances } from '../support/ledger.ts'
import { registerPuller } from '../support/pull-provider.ts'

const KILLS = 2
const CLIENTS = 6
/** Keys that each client uses, one after the other, between two kills. */
const KEYS = 15
const MODEL = 'keyed/one'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.end())

/** Sends until it is answered; `market_restarted` says to send again. */
async function submitUntilAnswered({ caller }: Member, key: string): Promise<TaskView> {
  const task = { kind: 'llm.chat', model: MODEL, input: { messages: [{ role: 'user', content: key }] } }
  for (;;) {
    const response = await unlessDown(world, async () => {
      const answer = await fetch(`${world.url}/v1/tasks`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${caller.key}`,
          'content-type': 'application/json',
          'idempotency-key': key,
        },
        body: JSON.stringify(task),
      })
      return { status: answer.status, body: (await answer.json()) as TaskView }
    })
    if (response?.status === 201) return response.body
    if (response) expect(response.status).toBe(503)
  }
}

test('a submission with a key is made once, though the edge is killed under it and it is sent again and again', async () => {
  await registerPuller(world, { kind: 'llm.chat', model: MODEL }, 1)
  const alice = await newRequester(world)
  const ids = new Map<string, Set<string>>()
  let answered = Promise.withResolvers<void>()
  const send = async (key: string) => {
    const { id } = await submitUntilAnswered(alice, key)
    ids.set(key, (ids.get(key) ?? new Set()).add(id))
    if (ids.size % (CLIENTS * KEYS) === (CLIENTS * KEYS) / 2) answered.resolve()
  }
  const client = async (round: number, n: number) => {
    for (let i = 0; i < KEYS; i++) {
      const key = `${round}-${n}-${i}`
      await Promise.all([send(key), send(key)])
    }
  }
  for (let round = 0; round < KILLS; round++) {
    const clients = Array.from({ length: CLIENTS }, (_, n) => client(round, n))
    await answered.promise
    answered = Promise.withResolvers()
    await world.crash()
    await Promise.all(clients)
  }
  await Promise.all([...ids.keys()].map(send))

  expect(ids.size).toBe(KILLS * CLIENTS * KEYS)
  expect([...ids.values()].filter(({ size }) => size !== 1)).toEqual([])
  const { metrics } = await call<NetworkSnapshot>({ edge: world.url }, 'GET', '/v1/network')
  expect(metrics.totalTasks).toBe(ids.size)
  const { maxPrice } = await submitUntilAnswered(alice, '0-0-0')
  const { held } = await readBalances(alice)
  expect(held).toBe(parseAmount(maxPrice) * BigInt(ids.size))
})
