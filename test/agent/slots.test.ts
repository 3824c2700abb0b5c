import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createBook, finish, type LeaseBook, nextPoll, running, takeAnswer } from '#agent/lease-book.ts'
import { divide, sharesOf } from '#agent/slots.ts'
import type { Lease, Poll, PollAnswer } from '#core/protocol/lease.ts'

type Frame = Omit<Poll, 'waitSeconds'>

/** Edges that count on what the last frame said, as the market does, with frames and answers on their way between. */
function createWorld(total: number, count: number) {
  const books = sharesOf(total, count).map(createBook)
  const edges = books.map((book) => ({
    book,
    up: [] as Frame[],
    down: [] as PollAnswer[],
    room: 0,
    open: new Map<string, number>(),
    seq: 0,
  }))
  type Edge = (typeof edges)[number]

  function share() {
    const shares = books.map((book) => ({ ...book, running: running(book).length, isOnline: true }))
    for (const [i, slots] of divide(total, shares).entries()) setSlots(edges[i]!, slots)
  }
  function setSlots(edge: Edge, slots: number) {
    if (edge.book.slots === slots) return
    edge.book.slots = slots
    send(edge)
  }
  const send = ({ book, up }: Edge) => void up.push(nextPoll(book, 0))

  return {
    edges,
    send,
    /** The edge reads a frame: what it did not tell yet is beside what the frame knows of. */
    read(edge: Edge) {
      const { up, down, open } = edge
      const frame = up.shift()
      if (!frame) return
      const results = frame.results.map(({ lease }) => ({ lease, accepted: open.delete(lease) }))
      edge.room = Math.max(frame.free - [...open.values()].filter((seq) => seq > frame.seen).length, 0)
      down.push({ leases: [], results, revoked: [], now: 0, ...(frame.mark !== undefined && { mark: frame.mark }) })
    },
    grant(edge: Edge) {
      if (edge.room === 0) return
      edge.room--
      const lease = { id: `${edge.seq}.1`, seq: ++edge.seq } as Lease
      edge.open.set(lease.id, lease.seq)
      edge.down.push({ leases: [lease], results: [], revoked: [], now: 0 })
    },
    hear(edge: Edge) {
      const answer = edge.down.shift()
      if (answer) takeAnswer(edge.book, answer)
      share()
    },
    end(edge: Edge) {
      const [lease] = running(edge.book)
      if (lease === undefined) return
      finish(edge.book, { lease, outcome: { status: 'returned' } }, 'run')
      share()
      send(edge)
    },
    /** Leases that must have a slot: those that run here, and those that are on their way or may still be given. */
    owed: () => edges.reduce((sum, { book, open, room }) => sum + Math.max(open.size - finished(book), 0) + room, 0),
  }
}

const finished = (book: LeaseBook): number => book.entries.size - running(book).length

test('whatever the edges do and however late their words come, no slot is promised twice', () => {
  const step = fc.tuple(
    fc.constantFrom('send' as const, 'read' as const, 'grant' as const, 'hear' as const, 'end' as const),
    fc.nat(2),
  )
  fc.assert(
    fc.property(fc.integer({ min: 3, max: 9 }), fc.array(step, { maxLength: 120, size: 'max' }), (total, steps) => {
      const world = createWorld(total, 3)
      for (const edge of world.edges) {
        world.send(edge)
        world.read(edge)
      }
      for (const [what, which] of steps) {
        const edge = world.edges[which]!
        world[what](edge)
        expect(world.owed()).toBeLessThanOrEqual(total)
      }
    }),
  )
})

test('an edge with work has what the others leave idle, and they get it back when they have work', () => {
  const world = createWorld(6, 2)
  const [one, two] = world.edges as [(typeof world.edges)[0], (typeof world.edges)[0]]
  const settle = (hungry: (typeof world.edges)[number][]) => {
    for (let i = 0; i < 40; i++)
      for (const edge of world.edges) {
        world.read(edge)
        if (hungry.includes(edge)) world.grant(edge)
        world.hear(edge)
      }
  }
  for (const edge of world.edges) world.send(edge)
  settle([one])
  expect(world.edges.map(({ book }) => running(book).length)).toEqual([5, 0])
  // The other has the one that stayed, and another for each lease of the first that ends.
  settle([one, two])
  expect(world.edges.map(({ book }) => running(book).length)).toEqual([5, 1])
  for (let i = 0; i < 8; i++) {
    world.end(one)
    settle([one, two])
  }
  expect(world.edges.map(({ book }) => running(book).length)).toEqual([3, 3])
})
