import fc from 'fast-check'
import { expect, test } from 'vitest'
import { expireSoon, tick } from '#core/book.ts'
import { healthScore, isActive, metricsOf } from '#core/health.ts'
import { cancel } from '#core/market.ts'
import type { HealthComponent } from '#core/protocol/network.ts'
import { countGranted, countSubmitted, createStats, MINUTE_MS, minutesUntil, shareWithin } from '#core/stats.ts'
import { newTask, transition } from '#core/task.ts'
import { networkSnapshot } from '#core/views.ts'
import {
  enrol,
  failed,
  join,
  openBook,
  order,
  providerOf,
  request,
  say,
  spec,
  succeeded,
  T0,
  vanish,
} from '../support/book.ts'
import { holds } from '../support/property.ts'

const SIX_HOURS = 6 * 3_600_000

/** Statistics of tasks that were all granted in one minute, after these waits. */
function statsOf(waits: number[]) {
  const stats = createStats()
  const grantedAt = T0 + SIX_HOURS
  for (const wait of waits) {
    const task = newTask(spec({ createdAt: grantedAt - wait }))
    const result = transition(task, { type: 'granted', provider: providerOf(1), ask: 1n }, grantedAt)
    if ('refused' in result) throw new Error(result.refused)
    countGranted(stats, result.task)
  }
  return { stats, minute: minutesUntil(stats, grantedAt).at(-1)! }
}

test('the minutes of the last hour come without gaps, oldest first, whatever happened when', () => {
  const jumps = fc.array(fc.integer({ min: 0, max: 7 * MINUTE_MS }), { maxLength: 120 })
  holds(
    fc.property(jumps, fc.integer({ min: 0, max: 90 * MINUTE_MS }), (jumps, quiet) => {
      const stats = createStats()
      const times: number[] = []
      let now = T0
      for (const jump of jumps) {
        now += jump
        times.push(now)
        countSubmitted(stats, newTask(spec({ createdAt: now })))
      }
      now += quiet
      const minutes = minutesUntil(stats, now)
      const last = Math.floor(now / MINUTE_MS) * MINUTE_MS
      expect(minutes.map(({ at }) => at)).toEqual(Array.from({ length: 60 }, (_, i) => last - (59 - i) * MINUTE_MS))
      for (const { at, submitted } of minutes) {
        expect(submitted).toBe(times.filter((time) => time >= at && time < at + MINUTE_MS).length)
      }
    }),
  )
})

test('the waits of half and of most are upper bounds, and no more than half above', () => {
  const wait = fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: SIX_HOURS }))
  holds(
    fc.property(fc.array(wait, { minLength: 1, maxLength: 50 }), (waits) => {
      const { minute } = statsOf(waits)
      const sorted = [...waits].sort((x, y) => x - y)
      for (const [q, bound] of [
        [0.5, minute.waitP50Ms],
        [0.95, minute.waitP95Ms],
      ] as const) {
        const exact = sorted[Math.ceil(q * sorted.length) - 1]!
        expect(bound).toBeGreaterThanOrEqual(exact)
        expect(bound).toBeLessThanOrEqual(Math.max(1, exact * 1.5))
      }
    }),
  )
  expect(statsOf([]).minute).toMatchObject({ waitP50Ms: null, waitP95Ms: null })
})

test('the share of waits within a time counts those, and at most those half as long again', () => {
  holds(
    fc.property(
      fc.array(fc.nat(20_000), { minLength: 1, maxLength: 50 }),
      fc.integer({ min: 1, max: 20_000 }),
      (waits, ms) => {
        const share = shareWithin(statsOf(waits).stats.minutes, ms).value! * waits.length
        expect(share).toBeGreaterThanOrEqual(waits.filter((wait) => wait <= ms).length - 1e-9)
        expect(share).toBeLessThanOrEqual(waits.filter((wait) => wait <= ms * 1.5).length + 1e-9)
      },
    ),
  )
  expect(shareWithin([], 5000)).toEqual({ value: null, of: 0 })
})

test('only the first grant of a task counts as its wait', () => {
  const book = openBook()
  const first = join(book, 1, T0)
  const [id] = order(book, 1, [request()], T0)
  say(book, first, { seen: 1, results: [failed(`${id}.1`)] }, T0 + 1000)
  join(book, 2, T0 + 20_000)
  expect(book.tasks.get(id!)!.task.attempts).toHaveLength(2)
  expect(minutesUntil(book.stats, T0).at(-1)).toMatchObject({ submitted: 1, waitP50Ms: 1, waitP95Ms: 1 })
})

test('the network is told how its tasks ended, by state and by minute', () => {
  const book = openBook()
  const provider = join(book, 1, T0, { free: 3 })
  const ids = order(
    book,
    1,
    Array.from({ length: 5 }, () => request({ deadlineMs: 1000, maxAttempts: 1 })),
    T0,
  )
  say(
    book,
    provider,
    { seen: 3, renew: [`${ids[2]}.1`], results: [succeeded(`${ids[0]}.1`), failed(`${ids[1]}.1`)] },
    T0,
  )
  expect(networkSnapshot(book, T0).status).toMatchObject({ queued: 2, leased: 0, running: 1, succeeded: 1, failed: 1 })
  cancel(book, ids[3]!, T0)
  tick(book, T0 + 1000)
  const { status, minutes, latest, metrics } = networkSnapshot(book, T0 + 1000)
  expect(status).toEqual({
    queued: 0,
    leased: 0,
    running: 0,
    verifying: 0,
    succeeded: 1,
    failed: 1,
    cancelled: 1,
    expired: 2,
  })
  expect(minutes.at(-1)).toMatchObject({ submitted: 5, succeeded: 1, failed: 3, volume: '0.0000000000000002' })
  expect(latest.map(({ id }) => id)).toEqual([...ids].reverse())
  expect(metrics.totalTasks).toBe(5)
})

test('the latest tasks are kept however many come', () => {
  const book = openBook()
  for (let i = 0; i < 200; i++) {
    order(book, 1, [request()], T0 + i)
    const { latest } = networkSnapshot(book, T0 + i)
    expect(latest).toHaveLength(Math.min(20, i + 1))
    expect(latest[0]!.createdAt).toBe(T0 + i)
  }
  expect(book.stats.latest.length).toBeLessThan(100)
})

const component = (value: number | null, weight: number): HealthComponent => ({
  name: '',
  label: '',
  weight,
  value,
  of: 1,
  formula: '',
})

test('the health score is the weighted geometric mean of what is known, in hundredths', () => {
  expect(healthScore([component(0.5, 1), component(0.5, 3)])).toBeCloseTo(50, 10)
  expect(healthScore([component(0.25, 0.5), component(1, 0.5)])).toBeCloseTo(50, 10)
  expect(healthScore([component(1, 0.4), component(1, 0.6)])).toBe(100)
  expect(healthScore([component(0.81, 0.2), component(null, 0.8)])).toBeCloseTo(81, 10)
})

test('the health score is unknown while nothing is known, and 0 when one part is', () => {
  expect(healthScore([])).toBeNull()
  expect(healthScore([component(null, 0.4), component(null, 0.6)])).toBeNull()
  expect(healthScore([component(0, 0.1), component(1, 0.9)])).toBe(0)
})

test('the health score lies between its worst and its best part, and grows with each', () => {
  const part = fc.tuple(fc.double({ min: 0.001, max: 1, noNaN: true }), fc.double({ min: 0.01, max: 1, noNaN: true }))
  holds(
    fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
      const parted = parts.map(([value, weight]) => component(value, weight))
      const values = parts.map(([value]) => value * 100)
      const score = healthScore(parted)!
      expect(score).toBeGreaterThanOrEqual(Math.min(...values) - 1e-9)
      expect(score).toBeLessThanOrEqual(Math.max(...values) + 1e-9)
      const [first, ...rest] = parted
      expect(healthScore([{ ...first!, value: 1 }, ...rest])!).toBeGreaterThanOrEqual(score - 1e-9)
    }),
  )
})

test('an empty network knows nothing of its health, and invents nothing', () => {
  const { metrics, health, reputation } = metricsOf(openBook([]), T0)
  expect(metrics).toEqual({
    totalProviders: 0,
    activeProviders: 0,
    totalTasks: 0,
    averageReputation: null,
    healthScore: null,
  })
  expect(health.map(({ value }) => value)).toEqual([null, null, null, null])
  expect(health.reduce((sum, { weight }) => sum + weight, 0)).toBeCloseTo(1, 12)
  expect(reputation).toBeNull()
})

test('a provider is active while it is connected, works, or was heard of in the last minute', () => {
  const book = openBook()
  const idle = join(book, 1, T0)
  const polls = enrol(book, 2, T0)
  const later = T0 + 60_000
  expect([idle, polls].map((provider) => isActive(provider, T0 + 59_999))).toEqual([true, true])
  expect([idle, polls].map((provider) => isActive(provider, later))).toEqual([true, false])
  order(book, 1, [request()], later)
  vanish(book, idle, later)
  expect(isActive(idle, later)).toBe(true)
  expireSoon(book, idle, later)
  tick(book, later + 30_000)
  expect(isActive(idle, later + 30_000)).toBe(false)
  const { metrics } = metricsOf(book, later + 30_000)
  expect(metrics).toMatchObject({ totalProviders: 2, activeProviders: 0, healthScore: 0 })
})
