/** Batches of the SDK inside workerd, with providers that do what they are given. */
import { expect, test } from 'vitest'
import type { BatchOptions, BatchResult } from '#client/batch.ts'
import { connect } from '#client/daicn.ts'
import type { NewTask } from '#client/task.ts'
import { type Address, LIMITS } from '#core/protocol/values.ts'
import {
  accountOf,
  books,
  ORIGIN,
  type Person,
  poll,
  provider,
  request,
  requester,
  succeeded,
} from '../support/network.ts'

let models = 0

/** A provider of a model of its own, which answers everything with its text until it is told to stop. */
async function echo() {
  const model = `batch-echo-${++models}`
  const who = await provider([{ kind: 'llm.chat', model, ask: '0.0000001', speed: 100 }], LIMITS.slots)
  let stopping = false
  const work = async () => {
    let seen = 0
    let results: ReturnType<typeof succeeded>[] = []
    while (!stopping || results.length > 0) {
      const answer = await poll(who, {
        free: stopping ? 0 : LIMITS.slots,
        seen,
        results,
        waitSeconds: stopping ? 0 : 1,
      })
      seen = Math.max(seen, ...answer.leases.map(({ seq }) => seq))
      results = answer.leases.map(({ id, input }) => succeeded(id, textOf(input), 1))
    }
  }
  const working = work()
  return {
    model,
    async stop() {
      stopping = true
      await working
    },
  }
}

const textOf = (input: Record<string, unknown>) => (input.messages as { content: string }[])[0]!.content

const tasksOf = (model: string, count: number): NewTask[] =>
  Array.from({ length: count }, (_, i) => ({
    kind: 'llm.chat',
    model,
    input: { messages: [{ role: 'user', content: String(i) }], max_tokens: 4 },
  }))

function open(who: Person) {
  const bodies: number[] = []
  const fetch = (async (url: URL, init: RequestInit) => {
    if (init.method === 'POST' && url.pathname === '/v1/tasks')
      bodies.push((JSON.parse(init.body as string) as []).length)
    return request(url.pathname + url.search, init)
  }) as typeof globalThis.fetch
  return { daicn: connect({ edge: ORIGIN, key: who.token, fetch }), bodies }
}

async function gather(results: AsyncIterable<BatchResult>): Promise<BatchResult[]> {
  const gathered: BatchResult[] = []
  for await (const result of results) gathered.push(result)
  return gathered
}

async function all(who: Person, tasks: NewTask[], options?: BatchOptions): Promise<BatchResult[]> {
  return gather(open(who).daicn.batch(tasks, options))
}

test('more tasks than a request takes go in several, and each comes back once, at its place', async () => {
  const { model, stop } = await echo()
  const { daicn, bodies } = open(await requester())
  const told: number[] = []
  const onProgress: BatchOptions['onProgress'] = ({ ended }) => told.push(ended)
  const results = await gather(daicn.batch(tasksOf(model, 1200), { onProgress }))
  await stop()
  expect(bodies).toEqual([1000, 200])
  expect(results.map(({ index }) => index).sort((x, y) => x - y)).toEqual(Array.from({ length: 1200 }, (_, i) => i))
  const contents = results.map(({ index, task }) => task.kind === 'llm.chat' && task.output?.content === String(index))
  expect(contents.every(Boolean)).toBe(true)
  expect(told.at(-1)).toBe(1200)
})

test('a batch run again under its name takes up its tasks and pays for none twice', async () => {
  const { model, stop } = await echo()
  const who = await requester()
  const tasks = tasksOf(model, 40)
  const first = await all(who, tasks, { name: 'again' })
  const { spent } = await accountOf(who)
  const isDone = (index: number) => index < 10
  const second = await all(who, tasks, { name: 'again', isDone })
  await stop()
  const idsOf = (results: BatchResult[]) => new Map(results.map(({ index, task }) => [index, task.id]))
  const expected = [...idsOf(first)].filter(([index]) => !isDone(index))
  expect([...idsOf(second)].sort()).toEqual(expected.sort())
  expect((await accountOf(who)).spent).toBe(spent)
})

test('leaving a batch cancels what is open', async () => {
  const { model } = await idle()
  const who = await requester()
  const { daicn } = open(who)
  const stop = new AbortController()
  const onProgress = () => stop.abort(new Error('enough'))
  const results = gather(daicn.batch(tasksOf(model, 30), { signal: stop.signal, onProgress }))
  await expect(results).rejects.toThrow('enough')
  expect((await accountOf(who)).held).toBe('0')
})

test('a request that the edge refuses ends the batch with its error and leaves nothing open', async () => {
  const { model } = await idle()
  const who = await requester()
  const tasks = [...tasksOf(model, 1000), ...tasksOf('nobody has this', 1)]
  await expect(all(who, tasks)).rejects.toMatchObject({ code: 'unknown_model', pointer: '/0/model' })
  expect((await accountOf(who)).held).toBe('0')
  expect((await books()).held).toBe('0')
})

test('tasks that are done already are not sent', async () => {
  const { daicn, bodies } = open(await requester())
  expect(await gather(daicn.batch(tasksOf('any', 3), { isDone: () => true }))).toEqual([])
  expect(bodies).toEqual([])
})

/** A model whose provider never asks for work. */
async function idle(): Promise<{ model: string; address: Address }> {
  const model = `batch-idle-${++models}`
  return { model, address: (await provider([{ kind: 'llm.chat', model, ask: '0.0000001', speed: 1 }])).address }
}
