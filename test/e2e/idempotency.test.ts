import { expect, onTestFinished, test } from 'vitest'
import { call } from '../../client/edge.ts'
import { parseAmount } from '../../core/money.ts'
import type { NetworkSnapshot } from '../../core/protocol/network.ts'
import type { TaskView } from '../../core/protocol/task.ts'
import { parseTaskId } from '../../core/task-id.ts'
import { createWorld, type Member, newRequester, unlessDown, type World } from '../support/fault-world.ts'
import { readBalances } from '../support/ledger.ts'
import { registerPuller } from '../support/pull-provider.ts'

const KILLS = 2
const CLIENTS = 6
/** Keys that each client uses, one after the other, between two kills. */
const KEYS = 15
const MODEL = 'keyed/one'

/** Sends until it is answered; `market_restarted` says to send again. */
async function submitUntilAnswered(world: World, { caller }: Member, key: string): Promise<TaskView> {
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

/** Somebody at home in each cell, where alone it came with a model of its own; then they offer the same. */
async function populate(world: World, cells: number): Promise<void> {
  for (let cell = 0; cell < cells; cell++) {
    const bob = await registerPuller(world, { kind: 'llm.chat', model: `keyed/alone-${cell}` }, 1)
    const registration = { slots: 1, offers: [{ kind: 'llm.chat', model: MODEL, ask: '0.000000123', speed: 1000 }] }
    await call(bob.caller, 'POST', '/v1/provider/register', { body: registration })
  }
}

test.each([1, 4])(
  'a submission with a key is made once in a market of %i, though the edge is killed under it and it is sent again and again',
  async (cells) => {
    const world = await createWorld({ CELLS: String(cells) })
    onTestFinished(() => world.end())
    await populate(world, cells)
    const alice = await newRequester(world)
    const ids = new Map<string, Set<string>>()
    let answered = Promise.withResolvers<void>()
    const send = async (key: string) => {
      const { id } = await submitUntilAnswered(world, alice, key)
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
    expect(new Set([...ids.values()].flatMap((made) => [...made].map((id) => parseTaskId(id)!.cell))).size).toBe(cells)
    const { metrics } = await call<NetworkSnapshot>({ edge: world.url }, 'GET', '/v1/network')
    expect(metrics.totalTasks).toBe(ids.size)
    const { maxPrice } = await submitUntilAnswered(world, alice, '0-0-0')
    const { held } = await readBalances(alice)
    expect(held).toBe(parseAmount(maxPrice) * BigInt(ids.size))
  },
)
