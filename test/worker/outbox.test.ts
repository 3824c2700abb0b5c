import { expect, test } from 'vitest'
import { createOutbox, drain, nextSignal, signal } from '#worker/outbox.ts'

/** An outbox on a clock of its own, whose handler does as it is told. */
function started() {
  const outbox = createOutbox()
  const log: string[] = []
  const world = { now: 0, fails: false, busy: Promise.resolve() }
  const run = () =>
    drain(outbox, {
      now: () => world.now,
      handle: async (key) => {
        log.push(key)
        await world.busy
        if (world.fails) throw new Error('no')
      },
      failed: (key, _, parked) => log.push(`${key} ${parked ? 'parked' : 'failed'}`),
    })
  return { outbox, log, world, run }
}

test('an effect is handled when it is due, and several signals are one', async () => {
  const { outbox, log, world, run } = started()
  signal(outbox, 'a', 10)
  signal(outbox, 'a', 5)
  signal(outbox, 'b', 20)
  await run()
  expect([log, nextSignal(outbox)]).toEqual([[], 10])
  world.now = 20
  await run()
  expect([log, nextSignal(outbox)]).toEqual([['a', 'b'], null])
})

test('a failing effect backs off, is parked, and works again once it can', async () => {
  const { outbox, log, world, run } = started()
  world.fails = true
  signal(outbox, 'a', 0)
  const waits: number[] = []
  for (let attempt = 1; attempt <= 10; attempt++) {
    await run()
    waits.push((nextSignal(outbox)! - world.now) / 1000)
    world.now = nextSignal(outbox)!
  }
  expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60, 900])
  expect(log.filter((line) => line === 'a parked')).toHaveLength(1)
  expect(log.at(-1)).toBe('a parked')
  world.fails = false
  await run()
  expect([log.at(-1), nextSignal(outbox)]).toEqual(['a', null])
})

test('a signal that comes while its effect is handled is handled after it, and never beside it', async () => {
  const { outbox, log, world, run } = started()
  const { promise, resolve } = Promise.withResolvers<void>()
  world.busy = promise
  signal(outbox, 'a', 0)
  const first = run()
  signal(outbox, 'a', 3)
  world.now = 5
  await run()
  expect([log, nextSignal(outbox)]).toEqual([['a'], null])
  resolve()
  await first
  expect(nextSignal(outbox)).toBe(3)
  await run()
  expect([log, nextSignal(outbox)]).toEqual([['a', 'a'], null])
})

test('a failing effect does not hold up the others', async () => {
  const outbox = createOutbox()
  const done: string[] = []
  for (let i = 0; i < 20; i++) signal(outbox, `${i % 2 ? 'good' : 'bad'} ${i}`, 0)
  await drain(outbox, {
    now: () => 0,
    handle: async (key) => {
      if (key.startsWith('bad')) throw new Error('no')
      done.push(key)
    },
    failed: () => {},
  })
  expect(done).toHaveLength(10)
  expect(outbox.entries.size).toBe(10)
})

test('effects that hang hold up nothing that another drain can do, and nothing is done twice', async () => {
  const outbox = createOutbox()
  const done: string[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  const run = () =>
    drain(outbox, {
      now: () => 0,
      handle: async (key) => {
        if (key.startsWith('hangs')) await promise
        done.push(key)
      },
      failed: () => {},
    })
  for (let i = 0; i < 4; i++) signal(outbox, `hangs ${i}`, 0)
  for (let i = 0; i < 4; i++) signal(outbox, `credit ${i}`, 0)
  const first = run()
  await run()
  expect(done).toEqual(['credit 0', 'credit 1', 'credit 2', 'credit 3'])
  resolve()
  await first
  expect([done.length, outbox.entries.size]).toEqual([8, 0])
})
