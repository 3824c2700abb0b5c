import fc from 'fast-check'
import { expect, test } from 'vitest'
import { backoffMs, leaseId, parseLeaseId } from '#core/lease.ts'
import { parsePurseId, purseId } from '#core/purse.ts'
import { makeTaskId, parseTaskId, roomOf, roomPart } from '#core/task-id.ts'
import { requesterOf } from '../support/book.ts'
import { holds } from '../support/property.ts'

const random = fc.stringMatching(/^[0-9a-z]{8,20}$/)
const cell = fc.stringMatching(/^[a-z0-9]{1,20}$/)
const time = fc.integer({ min: 0, max: 36 ** 9 - 1 })

test('a task id tells its cell and its time', () => {
  holds(
    fc.property(cell, time, random, (cell, createdAt, random) => {
      expect(parseTaskId(makeTaskId(cell, createdAt, random))).toEqual({ cell, createdAt })
    }),
  )
})

test('task ids of one cell sort by time', () => {
  holds(
    fc.property(time, time, random, random, (x, y, r, s) => {
      fc.pre(x !== y)
      expect(makeTaskId('c1', x, r) < makeTaskId('c1', y, s)).toBe(x < y)
    }),
  )
})

test('rooms share as many objects as tasks are open for, and a task id tells which', () => {
  const lot = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  holds(
    fc.property(cell, time, random, fc.nat(100_000), fc.array(lot), (cell, createdAt, random, open, lots) => {
      const rooms = lots.map((lot) => roomOf(makeTaskId(cell, createdAt, random + roomPart(open, lot))))
      for (const room of rooms) expect(room).toMatch(new RegExp(`^${cell}-[0-9a-z]{2}$`))
      expect(new Set(rooms).size).toBeLessThanOrEqual(1 + open / 32)
    }),
  )
})

test.each([
  '',
  'c1',
  'c1-',
  '-0abcdefgh12345678',
  'c1-0abcdefgh',
  'C1-0abcdefgh12345678',
  'c1-0abcdefgh1234567!',
  'c1-0abcdefgh12345678\n',
  '../c1-0abcdefgh12345678',
])('what is not a task id is refused: %j', (id) => expect(parseTaskId(id)).toBeNull())

test('a lease id tells its task and its attempt', () => {
  holds(
    fc.property(cell, time, random, fc.integer({ min: 1, max: 10_000 }), (cell, createdAt, random, attempt) => {
      const task = makeTaskId(cell, createdAt, random)
      expect(parseLeaseId(leaseId(task, attempt))).toEqual({ task, attempt })
    }),
  )
})

test.each(['', '.', 't', 't.', '.1', 't.0', 't.-1', 't.1.5x', 't.x', 't.NaN', 't.Infinity'])(
  'what is not a lease id is refused: %j',
  (id) => expect(parseLeaseId(id)).toBeNull(),
)

test('a purse id tells its account and its key', () => {
  expect(parsePurseId(purseId(requesterOf(3), 'k/1'))).toEqual({ account: requesterOf(3), key: 'k/1' })
})

test('a task keeps away from those that failed it longer each time, and never above a minute', () => {
  const waits = [1, 2, 3, 4, 5, 6, 7, 50].map(backoffMs)
  expect(waits.slice(0, 3)).toEqual([2000, 4000, 8000])
  expect(waits).toEqual([...waits].sort((x, y) => x - y))
  expect(Math.max(...waits)).toBe(60_000)
})
