/** What must be true of every book at every moment. */
import assert from 'node:assert/strict'
import { mostResults } from '#core/assurance.ts'
import { currentAttempt, deliverersOf, leasedAttempts } from '#core/attempts.ts'
import { type Book, leasesOf } from '#core/book.ts'
import { leaseId } from '#core/lease.ts'
import { exclusion } from '#core/matching.ts'
import { splitFee } from '#core/money.ts'
import { available } from '#core/purse.ts'
import { bytesOf, held, isOver, paid, type Task } from '#core/task.ts'

/** @param ended every task that has ended, the archived ones too */
export function expectSound(book: Book, submitted: string[], ended: Map<string, Task>): void {
  expectMoney(book, ended)
  expectTasks(book, submitted, ended)
  expectLeases(book)
}

function expectMoney(book: Book, ended: Map<string, Task>): void {
  const prices = new Map<string, bigint>()
  const earned = new Map<string, bigint>()
  let fees = 0n
  const add = (sums: Map<string, bigint>, key: string, amount: bigint) => sums.set(key, (sums.get(key) ?? 0n) + amount)
  for (const task of [...ended.values(), ...[...book.tasks.values()].map((open) => open.task)]) {
    const { spec, state, attempts, prefix } = task
    assert.equal(paid(task) <= held(spec), true)
    const units = attempts.reduce((sum, attempt) => sum + attempt.units, 0)
    assert.equal(units <= spec.maxUnits * mostResults(spec.assurance), true)
    if (state.is === 'succeeded') assert.deepEqual([state.price, state.units], [paid(task), units])
    else assert.equal(prefix?.tokens ?? 0, units)
    add(prices, spec.purse, paid(task))
    for (const { provider, ask, units } of attempts) {
      const split = splitFee(ask * BigInt(units))
      add(earned, provider, split.earned)
      fees += split.fee
    }
  }
  assert.equal(book.fees, fees)
  for (const { supply, ...provider } of book.providers.values()) {
    assert.equal(provider.earned, earned.get(supply.address) ?? 0n)
    const known = [...provider.byDevice.values()].reduce((sum, one) => sum + one.earned, 0n)
    assert.equal(known <= provider.earned, true)
  }
  for (const purse of book.purses.values()) {
    let open = 0n
    for (const { task } of book.tasks.values()) if (task.spec.purse === purse.id) open += held(task.spec) - paid(task)
    assert.equal(purse.held, open)
    assert.equal(purse.captured, prices.get(purse.id) ?? 0n)
    assert.equal(purse.restored >= 0n && available(purse) >= 0n, true)
    assert.equal(purse.restored + purse.held + available(purse) + purse.captured, purse.drawn)
  }
}

function expectTasks(book: Book, submitted: string[], ended: Map<string, Task>): void {
  assert.deepEqual([...book.tasks.keys(), ...ended.keys()].sort(), [...submitted].sort())
  let bytes = 0
  let queued = 0
  const by = new Map<string, { tasks: number; bytes: number }>()
  for (const open of book.tasks.values()) {
    assert.equal(isOver(open.task), false)
    const waits = open.task.state.is === 'queued'
    const isSealing = open.task.state.is === 'sealing'
    assert.equal(open.want.queued, waits)
    assert.equal(leasesOf(book, open).length === 0, waits || isSealing)
    assert.equal(book.sealing.has(open.task.spec.id), isSealing)
    assert.equal(book.verifying.has(open.task.spec.id), open.task.deliveries !== undefined)
    const deliverers = deliverersOf(open.task)
    assert.equal(new Set(deliverers).size, deliverers.length)
    bytes += bytesOf(open.task)
    const own = by.get(open.task.spec.requester) ?? { tasks: 0, bytes: 0 }
    by.set(open.task.spec.requester, { tasks: own.tasks + 1, bytes: own.bytes + bytesOf(open.task) })
    if (waits) queued++
  }
  for (const task of ended.values()) {
    assert.equal(isOver(task), true)
    assert.equal(currentAttempt(task), 0)
  }
  assert.deepEqual(
    { ...book.occupancy, by: [...book.occupancy.by].sort() },
    { tasks: book.tasks.size, bytes, by: [...by].sort() },
  )
  assert.equal(book.matching.queued, queued)
  const { stats } = book
  assert.equal(stats.totalTasks, submitted.length)
  assert.equal(
    Object.values(stats.ended).reduce((sum, n) => sum + n, 0),
    ended.size,
  )
}

function expectLeases(book: Book): void {
  const leased = new Map<string, string[]>()
  for (const { supply, leases, lastSeq } of book.providers.values()) {
    assert.ok(supply.room >= 0)
    for (const [id, lease] of leases) {
      const task = book.tasks.get(lease.task)!.task
      assert.equal(id, leaseId(lease.task, lease.attempt))
      assert.ok(leasedAttempts(task).includes(lease.attempt))
      assert.equal(task.attempts[lease.attempt - 1]!.provider, supply.address)
      assert.ok(lease.seq <= lastSeq)
      leased.set(lease.task, [...(leased.get(lease.task) ?? []), supply.address])
    }
  }
  for (const [id, holders] of leased) {
    // One attempt has the lease; a second, by another provider, where the first was late and the task allows it.
    const { task } = book.tasks.get(id)!
    assert.equal(holders.length, leasedAttempts(task).length)
    assert.equal(new Set(holders).size, holders.length)
    if (holders.length > 1) assert.ok(!task.spec.stream && !task.spec.assurance && task.spec.preference !== 'cheapest')
  }
  assert.equal(leased.size, book.tasks.size - book.matching.queued - book.sealing.size)
}

/** No task waits that a provider with room might run; true whenever the book has just looked at the clock. */
export function expectNothingIdle(book: Book, now: number): void {
  for (const { task, want } of book.tasks.values()) {
    if (task.state.is !== 'queued') continue
    for (const { supply } of book.providers.values()) assert.notEqual(exclusion(want, supply, now), null)
  }
}
