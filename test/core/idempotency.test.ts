import { expect, test } from 'vitest'
import { apply, createBook } from '#core/book.ts'
import { KEY_MS, tasksOfEarlier } from '#core/idempotency.ts'
import { submit } from '#core/market.ts'
import { purseId } from '#core/purse.ts'
import { openBook, request, requesterOf, T0 } from '../support/book.ts'

const idempotency = { key: 'k', body: 'b' }

test('the key of a submission is written down with its tasks, and only when they were accepted', () => {
  const book = openBook()
  let made = 0
  const submission = {
    requester: requesterOf(1),
    purse: purseId(requesterOf(1), 'session'),
    requests: [request(), request()],
    newId: () => `t${++made}`,
    idempotency,
  }
  const nobody = { ...submission, purse: purseId(requesterOf(2), 'session') }
  expect(submit(book, nobody, T0)).toHaveProperty('short')
  expect(book.keys.size).toBe(0)

  submit(book, submission, T0)
  const again = createBook('c1')
  for (const event of book.log) apply(again, event)
  for (const one of [book, again]) expect(one.keys.get('k')).toEqual({ body: 'b', tasks: ['t1', 't2'], at: T0 })
})

test('a key answers with its tasks for a day, refuses another body, and is free again afterwards', () => {
  const earlier = { body: 'b', tasks: ['t1'], at: T0 }
  const other = { key: 'k', body: 'another' }
  expect(tasksOfEarlier(undefined, idempotency, T0)).toBeNull()
  expect(tasksOfEarlier(earlier, idempotency, T0 + KEY_MS - 1)).toEqual(['t1'])
  expect(() => tasksOfEarlier(earlier, other, T0 + KEY_MS - 1)).toThrowError(
    expect.objectContaining({ code: 'idempotency_conflict' }),
  )
  expect(tasksOfEarlier(earlier, other, T0 + KEY_MS)).toBeNull()
})
