import { expect, test } from 'vitest'
import type { TaskView } from '../../core/protocol/task.ts'
import { searchTasks } from '../../web/src/lib/tasks/search.ts'
import { timelineOf } from '../../web/src/lib/tasks/timeline.ts'

const PROVIDER = `0x${'1'.repeat(40)}` as const
const error = { code: 'runner_crashed', message: 'it crashed' }
const task: TaskView = {
  id: 'c1-1',
  kind: 'llm.chat',
  model: 'tiny',
  status: 'failed',
  createdAt: 1000,
  finishedAt: 1900,
  maxPrice: '1',
  attempts: [
    { number: 1, provider: PROVIDER, state: 'lost', grantedAt: 1100, startedAt: 1150, endedAt: 1500 },
    { number: 2, provider: PROVIDER, state: 'failed', grantedAt: 1600, endedAt: 1900, error },
  ],
  error,
}

test('a timeline tells every attempt and its end, with the time between them', () => {
  expect(timelineOf(task).map(({ what, after, tone }) => [what, after, tone])).toEqual([
    ['Submitted', null, 'plain'],
    ['Given to', 100, 'plain'],
    ['Started', 50, 'plain'],
    ['Attempt 1 lost: its provider was not heard of any more', 350, 'bad'],
    ['Given to', 100, 'plain'],
    ['Attempt 2 failed', 300, 'bad'],
    ['Failed for good', 0, 'bad'],
  ])
})

test('an error is told once, where it happened', () => {
  const notes = timelineOf(task).flatMap(({ note }) => note ?? [])
  expect(notes).toEqual(['runner_crashed: it crashed'])
  const own = timelineOf({ ...task, attempts: [], error: { code: 'no_provider', message: 'nobody' } })
  expect(own.at(-1)?.note).toBe('no_provider: nobody')
})

test('an open task ends with what happened last', () => {
  const {
    finishedAt: _,
    error: __,
    ...open
  } = { ...task, status: 'running' as const, attempts: task.attempts.slice(0, 1) }
  expect(timelineOf(open).at(-1)?.key).toBe('1 ended')
})

test('a search finds tasks by every word, in whatever field', () => {
  const one = { id: 'c1-1', kind: 'llm.chat', model: 'tiny', status: 'queued', createdAt: 0 } as const
  expect(searchTasks([one], ' TINY chat ')).toEqual([one])
  expect(searchTasks([one], 'tiny embed')).toEqual([])
})
