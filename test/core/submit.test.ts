import { expect, test } from 'vitest'
import { type Book, createBook, record } from '#core/book.ts'
import { cancel, submit } from '#core/market.ts'
import { CAPACITY, checkRoom, createOccupancy, occupy } from '#core/occupancy.ts'
import { available, purseId } from '#core/purse.ts'
import type { TaskRequest } from '#core/request.ts'
import { booksOf, modelsOf, pursesOf, taskView } from '#core/views.ts'
import {
  enrol,
  fund,
  holderOf,
  join,
  offer,
  openBook,
  order,
  providerOf,
  request,
  requesterOf,
  say,
  succeeded,
  T0,
  taskOf,
} from '../support/book.ts'

const submission = (requests: TaskRequest[]) => ({
  requester: requesterOf(1),
  purse: purseId(requesterOf(1), 'session'),
  requests,
  newId: () => 'x1',
})
const thrown = (book: Book, requests: TaskRequest[]) => {
  try {
    submit(book, submission(requests), T0)
  } catch (error) {
    return error
  }
  throw new Error('it was accepted')
}

test('a batch is accepted whole or not at all', () => {
  const book = openBook()
  const requests = [request({ pointer: '/0' }), request({ model: 'unheard-of', pointer: '/1' })]
  expect(thrown(book, requests)).toMatchObject({ code: 'unknown_model', details: { pointer: '/1/model' } })
  expect(book.tasks.size).toBe(0)
  expect(booksOf(book).held).toBe('0')
})

test('a purse that is short is told by how much, and nothing has changed', () => {
  const book = openBook([])
  expect(submit(book, submission([request(), request()]), T0)).toEqual({ short: 4000n })
  expect(book.tasks.size).toBe(0)
  expect(book.log).toEqual([])
})

test('what is held, captured and given back add up, and the provider earns its ask and not the bid', () => {
  const book = openBook()
  const purse = [...book.purses.values()][0]!
  const before = available(purse)
  const [id] = order(book, 1, [request({ bid: 1000n, maxUnits: 50 })], T0)
  expect(purse.held).toBe(50_000n)
  const provider = join(book, 1, T0)
  say(book, provider, { seen: 1, results: [succeeded(`${id}.1`)] }, T0 + 1)
  expect(pursesOf(book, requesterOf(1))).toEqual({ available: before - 5000n, held: 0n, captured: 5000n })
  expect([provider.earned, book.fees]).toEqual([4950n, 50n])
  expect(taskView(taskOf(book, id!))).toMatchObject({ status: 'succeeded', units: 50, price: '0.000000000000005' })
})

test('a market that is full refuses more, in tasks and in bytes', () => {
  const book = openBook()
  const overloaded = { code: 'overloaded', details: { retryAfterSeconds: expect.any(Number) } }
  expect(thrown(book, [request({ bytes: CAPACITY.bytes + 1 })])).toMatchObject(overloaded)
  expect(thrown(book, new Array(CAPACITY.tasks + 1).fill(request()))).toMatchObject(overloaded)
})

test('a requester alone may fill nine tenths of the room, and another still finds some', () => {
  const book = openBook([1, 2, 3])
  const most = Math.floor(0.9 * CAPACITY.bytes)
  const full = { code: 'open_tasks_limit', details: { retryAfterSeconds: expect.any(Number) } }
  const before = booksOf(book)
  expect(thrown(book, [request({ bytes: most + 1 })])).toMatchObject(full)
  expect(booksOf(book)).toEqual(before)
  const [heavy] = order(book, 1, [request({ bytes: most })], T0)
  expect(thrown(book, [request()])).toMatchObject(full)
  const left = CAPACITY.bytes - most
  order(book, 2, [request({ bytes: Math.floor(0.9 * left) })], T0)
  order(book, 3, [request({ bytes: Math.floor(0.09 * left) })], T0)
  // What ends makes room again.
  cancel(book, heavy!, T0)
  order(book, 1, [request()], T0)
})

test('a requester may have nine tenths of the tasks open, whoever else there is', () => {
  const occupancy = createOccupancy()
  const [heavy, other] = [requesterOf(1), requesterOf(2)]
  const most = 0.9 * CAPACITY.tasks
  checkRoom(occupancy, heavy, 100_000, 0)
  occupy(occupancy, heavy, most, 0)
  expect(() => checkRoom(occupancy, heavy, 1, 0)).toThrow('room for 11200 more')
  checkRoom(occupancy, other, 10_000, 0)
  occupy(occupancy, heavy, -most, 0)
  expect(occupancy).toEqual(createOccupancy())
})

test('a task that names no model gets the one that most who are there offer', () => {
  const book = openBook()
  enrol(book, 1, T0, { offers: [offer({ model: 'away' })] })
  enrol(book, 2, T0, { offers: [offer({ model: 'away' })] })
  const [waits] = order(book, 1, [request({ model: null })], T0)
  expect(taskOf(book, waits!).spec.model).toBe('away')
  join(book, 3, T0, { offers: [offer({ model: 'here' })] })
  const [runs] = order(book, 1, [request({ model: null })], T0)
  expect(taskOf(book, runs!).spec.model).toBe('here')
  expect(holderOf(book, runs!)).toBe(providerOf(3))
})

test('a kind that nobody offers is refused, a model that somebody once offered is waited for', () => {
  const book = createBook('c1')
  fund(book, 1)
  expect(thrown(book, [request({ model: null })])).toMatchObject({ code: 'no_provider', details: { pointer: '/kind' } })
  expect(thrown(book, [request()])).toMatchObject({ code: 'unknown_model', details: { pointer: '/model' } })
  enrol(book, 1, T0)
  enrol(book, 1, T0, { offers: [offer({ model: 'other' })] })
  expect(order(book, 1, [request()], T0)).toHaveLength(1)
})

test('a new task goes at once to the best provider that waits', () => {
  const book = openBook()
  join(book, 1, T0, { offers: [offer({ ask: '0.0000000000000005' })] })
  join(book, 2, T0, { offers: [offer({ ask: '0.0000000000000001' })] })
  join(book, 3, T0, { offers: [offer({ ask: '0.0000000000000009' })] })
  const [id] = order(book, 1, [request({ preference: 'cheapest' })], T0)
  expect(holderOf(book, id!)).toBe(providerOf(2))
})

test('nobody is given work by themselves', () => {
  const book = openBook([])
  const own = providerOf(1)
  join(book, 1, T0)
  const purse = purseId(own, 'session')
  record(book, { type: 'drew', at: T0, purse, total: 10_000n })
  const result = submit(book, { requester: own, purse, requests: [request()], newId: () => 'x1' }, T0)
  expect('tasks' in result && result.tasks[0]!.state.is).toBe('queued')
})

test('the models on offer are told with who is there and the lowest ask', () => {
  const book = openBook()
  join(book, 1, T0, { offers: [offer({ ask: '0.5' }), offer({ model: 'n', ask: '3' })] })
  join(book, 2, T0, { offers: [offer({ ask: '0.25' })] })
  expect(modelsOf(book, T0).map(({ id, providers, ask }) => [id, providers, ask])).toEqual([
    ['m', 2, '0.25'],
    ['n', 1, '3'],
  ])
})
