import fc from 'fast-check'
import { expect, test } from 'vitest'
import { currentAttempt, leasedAttempts, mayHaveSecond, triesOf } from '#core/attempts.ts'
import { PREFERENCES } from '#core/matching.ts'
import { type Effect, isOver, newTask, type Refusal, type Task, type TaskEvent, transition } from '#core/task.ts'
import { address, providerOf, spec, T0 } from '../support/book.ts'
import { holds } from '../support/property.ts'

const output = { embeddings: [[1]] }
const usage = { inputTokens: 1, outputTokens: 0 }
const granted = (n: number): TaskEvent => ({ type: 'granted', provider: providerOf(n), ask: 100n })
const success = (attempt: number): TaskEvent => ({ type: 'succeeded', attempt, output, usage, units: 2 })
const failure = (attempt: number, message = 'it broke'): TaskEvent => ({
  type: 'failed',
  attempt,
  error: { code: 'broken', message },
})
const of = (type: 'started' | 'returned' | 'lost', attempt: number): TaskEvent => ({ type, attempt })

/** The task after these events, none of which is refused, and all that followed from them. */
function run(events: TaskEvent[], over: Parameters<typeof spec>[0] = {}): { task: Task; effects: Effect[] } {
  let task = newTask(spec(over))
  const effects: Effect[] = []
  for (const [i, event] of events.entries()) {
    const result = transition(task, event, T0 + i)
    if ('refused' in result) throw new Error(`${event.type} was refused: ${result.refused}`)
    task = result.task
    effects.push(...result.effects)
  }
  return { task, effects }
}

const refusal = (task: Task, event: TaskEvent): Refusal | null => {
  const result = transition(task, event, T0 + 1000)
  return 'refused' in result ? result.refused : null
}

const SPOT = { assurance: { level: 'spot' } } as const
const number = fc.integer({ min: -1, max: 8 })
const anyEvent: fc.Arbitrary<TaskEvent> = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 3 }).map(granted) },
  { weight: 2, arbitrary: number.map((n) => of('started', n)) },
  { weight: 1, arbitrary: number.map(success) },
  { weight: 2, arbitrary: number.map((n) => failure(n)) },
  { weight: 2, arbitrary: number.map((n) => of('returned', n)) },
  { weight: 3, arbitrary: number.map((n) => of('lost', n)) },
  { weight: 1, arbitrary: fc.constantFrom<TaskEvent>({ type: 'cancelled' }, { type: 'expired' }) },
)

test('whatever happens in whatever order, a task ends once, has a lease or a second beside it where it may, and is paid at most once', () => {
  const events = fc.array(anyEvent, { minLength: 10, maxLength: 60, size: 'max' })
  holds(
    fc.property(
      events,
      fc.integer({ min: 1, max: 5 }),
      fc.constantFrom(...PREFERENCES),
      (events, maxAttempts, preference) => {
        let task = newTask(spec({ maxAttempts, preference }))
        let paid = 0
        let ends = 0
        for (const [i, event] of events.entries()) {
          if (event.type === 'granted' && task.state.is !== 'queued' && !mayHaveSecond(task)) {
            expect(() => transition(task, event, T0 + i)).toThrow()
            continue
          }
          const before = structuredClone(task)
          const result = transition(task, event, T0 + i)
          expect(task).toEqual(before)
          if ('refused' in result) continue
          expect(isOver(task)).toBe(false)
          paid += result.effects.filter(({ type }) => type === 'capture').length
          ends += result.effects.filter(({ type }) => type === 'end').length
          task = result.task
          const current = task.attempts.filter(({ state }) => state.is === 'granted' || state.is === 'started')
          expect(current.map((attempt) => attempt.number).reverse()).toEqual(leasedAttempts(task))
          expect(current.length).toBeLessThanOrEqual(preference === 'cheapest' || maxAttempts === 1 ? 1 : 2)
          expect(current.at(-1)?.number ?? 0).toBe(currentAttempt(task))
          expect(task.attempts.map((attempt) => attempt.number)).toEqual(task.attempts.map((_, n) => n + 1))
          expect(triesOf(task)).toBeLessThanOrEqual(maxAttempts)
          expect(ends).toBe(isOver(task) ? 1 : 0)
          expect(paid).toBe(task.state.is === 'succeeded' ? 1 : 0)
          expect(task.attempts.filter(({ state }) => state.is === 'succeeded')).toHaveLength(paid)
        }
      },
    ),
    500,
  )
})

test('each attempt that ends without a result gives the task back to the queue until its attempts are used up', () => {
  const { task, effects } = run([granted(1), failure(1), granted(2), of('lost', 2)])
  expect(task.state).toEqual({ is: 'queued' })
  expect(effects.filter(({ type }) => type === 'queue')).toHaveLength(2)
  const last = run([granted(1), failure(1), granted(2), of('lost', 2), granted(3), failure(3, 'the third')])
  expect(last.task.state).toMatchObject({ is: 'failed', error: { message: 'the third' } })
})

test('a poison task fails after maxAttempts with the error of every attempt kept, and harms nobody', () => {
  const events = [
    granted(1),
    failure(1, 'one'),
    granted(2),
    of('started', 2),
    failure(2, 'two'),
    granted(3),
    failure(3, 'three'),
  ]
  const { task, effects } = run(events, { maxAttempts: 3 })
  expect(task.state).toMatchObject({ is: 'failed', error: { code: 'broken', message: 'three' } })
  expect(task.attempts.map(({ state }) => state.is === 'failed' && state.error.message)).toEqual([
    'one',
    'two',
    'three',
  ])
  expect(effects.filter(({ type }) => type === 'score' || type === 'capture')).toEqual([])
})

test('a task whose providers all vanish fails, and says so', () => {
  const { task } = run([granted(1), of('lost', 1), granted(2), of('lost', 2)], { maxAttempts: 2 })
  expect(task.state).toMatchObject({ is: 'failed', error: { code: 'lease_lost' } })
})

test('a returned attempt does not count', () => {
  const round = [1, 2, 3, 4, 5].flatMap((n) => [granted(1), of('returned', n)])
  const { task, effects } = run(round, { maxAttempts: 1 })
  expect(task.state).toEqual({ is: 'queued' })
  expect(triesOf(task)).toBe(0)
  expect(effects.filter(({ type }) => type === 'score')).toEqual([])
})

test('a success pays the ask for each unit, and rates the provider and those that failed before it', () => {
  const events = [granted(1), failure(1), granted(2), of('lost', 2), granted(1), of('lost', 3), granted(3), success(4)]
  const { task, effects } = run(events, { maxAttempts: 5 })
  expect(task.state).toMatchObject({ is: 'succeeded', attempt: 4, price: 200n, units: 2, output, usage })
  expect(effects.filter(({ type }) => type === 'capture')).toEqual([
    { type: 'capture', provider: providerOf(3), price: 200n },
  ])
  const scores = effects.flatMap((effect) => (effect.type === 'score' ? [[effect.provider, effect.outcome]] : []))
  expect(scores.sort()).toEqual([
    [providerOf(1), 'failure'],
    [providerOf(2), 'failure'],
    [providerOf(3), 'success'],
  ])
})

test('a provider that fails and then succeeds is rated for its success alone', () => {
  const { effects } = run([granted(1), failure(1), granted(1), success(2)])
  expect(effects.filter(({ type }) => type === 'score')).toEqual([
    { type: 'score', provider: providerOf(1), outcome: 'success' },
  ])
})

test('the late result of a lost attempt is accepted while the task is queued', () => {
  const { task, effects } = run([granted(1), of('lost', 1), success(1)])
  expect(task.state).toMatchObject({ is: 'succeeded', attempt: 1 })
  expect(effects.filter(({ type }) => type === 'score')).toEqual([
    { type: 'score', provider: providerOf(1), outcome: 'success' },
  ])
})

test('the late result of a lost attempt supersedes the attempt that runs, whose provider is told to stop and not blamed', () => {
  const { task, effects } = run([granted(1), of('lost', 1), granted(2), of('started', 2), success(1)])
  expect(task.state).toMatchObject({ is: 'succeeded', attempt: 1 })
  expect(task.attempts[1]!.state.is).toBe('superseded')
  expect(effects).toContainEqual({ type: 'release', provider: providerOf(2), attempt: 2, revoke: true })
  expect(effects.some((effect) => effect.type === 'score' && effect.provider === providerOf(2))).toBe(false)
})

test('the late result of a lost attempt is refused once the task is over', () => {
  expect(refusal(run([granted(1), of('lost', 1), granted(2), success(2)]).task, success(1))).toBe('task_finished')
  expect(refusal(run([granted(1), of('lost', 1), { type: 'cancelled' }]).task, success(1))).toBe('task_finished')
  expect(refusal(run([granted(1), of('lost', 1), { type: 'expired' }]).task, success(1))).toBe('task_finished')
  expect(refusal(run([granted(1), of('lost', 1)], { maxAttempts: 1 }).task, success(1))).toBe('task_finished')
})

test('a result sent again is known as already accepted', () => {
  const { task } = run([granted(1), success(1)])
  expect(refusal(task, success(1))).toBe('already_accepted')
  expect(refusal(task, failure(1))).toBe('already_accepted')
})

test('an attempt that is over, or never was, is fenced off', () => {
  const { task } = run([granted(1), failure(1), granted(2)])
  for (const event of [success(1), failure(1), of('started', 1), of('lost', 1), of('returned', 1)]) {
    expect(refusal(task, event)).toBe('attempt_over')
  }
  for (const attempt of [0, 3, -1]) expect(refusal(task, success(attempt))).toBe('unknown_attempt')
  expect(refusal(run([granted(1), of('returned', 1)]).task, success(1))).toBe('attempt_over')
  expect(refusal(run([granted(1), failure(1)]).task, success(1))).toBe('attempt_over')
})

test('a task is cancelled or expires whether it waits or runs, once, and its provider is told to stop', () => {
  for (const type of ['cancelled', 'expired'] as const) {
    expect(run([{ type }]).effects).toEqual([{ type: 'end' }])
    const { task, effects } = run([granted(1), of('started', 1), { type }])
    expect(task.state.is).toBe(type)
    expect(task.attempts[0]!.state.is).toBe('superseded')
    expect(effects).toEqual([{ type: 'release', provider: providerOf(1), attempt: 1, revoke: true }, { type: 'end' }])
    expect(refusal(task, { type: 'cancelled' })).toBe('task_finished')
    expect(refusal(task, { type: 'expired' })).toBe('task_finished')
  }
})

const stream = { kind: 'llm.chat', stream: true, maxUnits: 10 } as const
const sealed = (attempt: number, text: string): TaskEvent => ({
  type: 'sealed',
  attempt,
  delivered: { text, tokens: text.length },
})

test('a stream that loses its attempt goes to nobody else before what was delivered is known and paid', () => {
  const lost = run([granted(1), of('started', 1), of('lost', 1)], stream)
  expect(lost.task.state).toEqual({ is: 'sealing', attempt: 1, next: { is: 'queued' } })
  expect(lost.effects).toEqual([
    { type: 'release', provider: providerOf(1), attempt: 1, revoke: true },
    { type: 'seal' },
  ])
  for (const event of [success(1), failure(1), of('lost', 1)]) expect(refusal(lost.task, event)).toBe('attempt_over')
  expect(() => transition(lost.task, granted(2), T0)).toThrow('not queued')

  const { task, effects } = run([granted(1), of('lost', 1), sealed(1, 'abc'), granted(2), success(2)], stream)
  expect(effects.filter(({ type }) => type === 'capture')).toEqual([
    { type: 'capture', provider: providerOf(1), price: 300n },
    { type: 'capture', provider: providerOf(2), price: 200n },
  ])
  expect(task).toMatchObject({ prefix: { text: 'abc', tokens: 3 }, state: { is: 'succeeded', units: 5, price: 500n } })
  expect(task.attempts.map(({ units }) => units)).toEqual([3, 2])
})

test('prefixes add up, and never cost more than was held', () => {
  const rounds = [1, 2, 3].flatMap((n) => [granted(n), of('returned', n), sealed(n, 'abcd')])
  const { task } = run(rounds, stream)
  expect(task).toMatchObject({ prefix: { text: 'abcdabcdabcd', tokens: 10 }, state: { is: 'queued' } })
  expect(task.attempts.map(({ units }) => units)).toEqual([4, 4, 2])
})

test('a stream that is cancelled, expires or fails for good ends when what was delivered is known', () => {
  for (const end of [{ type: 'cancelled' }, { type: 'expired' }, failure(1)] as TaskEvent[]) {
    const over = { ...stream, maxAttempts: 1 }
    expect(isOver(run([granted(1), end], over).task)).toBe(false)
    const { task, effects } = run([granted(1), end, sealed(1, 'ab')], over)
    expect(task.state.is).toBe(end.type)
    expect(effects.slice(-2)).toEqual([{ type: 'capture', provider: providerOf(1), price: 200n }, { type: 'end' }])
    expect(refusal(task, sealed(1, 'ab'))).toBe('task_finished')
  }
  const { task } = run([granted(1), of('lost', 1), { type: 'cancelled' }, sealed(1, '')], stream)
  expect(task.state.is).toBe('cancelled')
  expect(task.prefix).toBe(undefined)
  expect(refusal(run([granted(1), { type: 'cancelled' }], stream).task, { type: 'expired' })).toBe('task_finished')
})

test('a seal of any other attempt than the one that ended is refused', () => {
  const { task } = run([granted(1), of('lost', 1), sealed(1, 'a'), granted(2), of('lost', 2)], stream)
  expect(refusal(task, sealed(1, 'abc'))).toBe('attempt_over')
  expect(refusal(task, sealed(3, 'abc'))).toBe('unknown_attempt')
  expect(refusal(run([granted(1)], stream).task, sealed(1, 'a'))).toBe('attempt_over')
})

test('the late result of a lost attempt at a stream is refused: another may have gone on from what it delivered', () => {
  const { task } = run([granted(1), of('lost', 1), sealed(1, ''), granted(2)], stream)
  expect(refusal(task, success(1))).toBe('attempt_over')
})

test('granting a task that is not queued is a fault of the caller', () => {
  for (const over of [{ stream: true }, { preference: 'cheapest' }, { maxAttempts: 1 }, SPOT] as const) {
    expect(() => run([granted(1), granted(2)], over)).toThrow('not queued')
  }
  expect(() => run([granted(1), granted(2), granted(3)])).toThrow('not queued')
  expect(() => run([{ type: 'cancelled' }, granted(2)])).toThrow('not queued')
})

test('an attempt keeps the ask it was granted at', () => {
  const { task } = run([{ type: 'granted', provider: address(9), ask: 7n }, success(1)])
  expect(task.state).toMatchObject({ price: 14n })
})

test('of two attempts side by side the first result counts and is paid, the other is revoked, and nobody is marked for it', () => {
  for (const [winner, loser] of [
    [1, 2],
    [2, 1],
  ] as const) {
    const { task, effects } = run([granted(1), of('started', 1), granted(2), success(winner)])
    expect(task.state).toMatchObject({ is: 'succeeded', attempt: winner, price: 200n })
    expect(task.attempts[loser - 1]!.state.is).toBe('superseded')
    expect(effects).toEqual([
      { type: 'capture', provider: providerOf(winner), price: 200n },
      { type: 'release', provider: providerOf(2), attempt: 2, revoke: winner !== 2 },
      { type: 'release', provider: providerOf(1), attempt: 1, revoke: winner !== 1 },
      { type: 'score', provider: providerOf(winner), outcome: 'success' },
      { type: 'end' },
    ])
    expect(refusal(task, success(loser))).toBe('task_finished')
  }
})

test('of two attempts side by side one may end without a result: the other goes on, and its lost result may still come', () => {
  const { task, effects } = run([granted(1), granted(2), of('lost', 1)])
  expect(task.state).toEqual({ is: 'leased', attempt: 2 })
  expect(effects).toEqual([{ type: 'release', provider: providerOf(1), attempt: 1, revoke: true }])
  const late = run([granted(1), granted(2), of('lost', 1), success(1)])
  expect(late.task.state).toMatchObject({ is: 'succeeded', attempt: 1 })
  expect(late.task.attempts[1]!.state.is).toBe('superseded')
  const both = run([granted(1), granted(2), failure(2), failure(1)])
  expect(both.task.state).toEqual({ is: 'queued' })
  const stopped = run([granted(1), granted(2), { type: 'cancelled' }])
  expect(stopped.task.attempts.map(({ state }) => state.is)).toEqual(['superseded', 'superseded'])
  expect(stopped.effects.filter(({ type }) => type === 'release')).toHaveLength(2)
})
