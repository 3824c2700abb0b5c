/** When a task will start and finish: forecasts beside what became of tasks in a queue that is simulated. */
import { deserialize, serialize } from 'node:v8'
import { expect, test } from 'vitest'
import {
  createEta,
  type Estimate,
  type Eta,
  estimate,
  finished,
  kept,
  keptOf,
  type Sight,
  started,
} from '#core/forecast/eta.ts'
import { coverage, wape } from '#core/forecast/score.ts'
import { mulberry32 } from '../support/random.ts'

const IDLE: Sight = { idle: true, ahead: 0, oldestMs: 0, size: 10 }

type Ended = { said: Estimate; waitMs: number; runMs: number }

/** One provider, first come first served; run times are exponential about 40 ms for each unit of size. */
function simulate(seed: number, tasks: number, load: number): { eta: Eta; ended: Ended[] } {
  const random = mulberry32(seed)
  const exponential = (mean: number) => -mean * Math.log(1 - random())
  const eta = createEta()
  const queue: { at: number; size: number; said: Estimate }[] = []
  const starts: { at: number; said: Estimate; waitMs: number; runMs: number }[] = []
  const ended: Ended[] = []
  let now = 0
  let freeAt = 0
  for (let i = 0; i < tasks; i++) {
    now += exponential(1000 / load)
    serve(now)
    const [oldest] = queue
    const size = 5 + Math.floor(random() * 40)
    const sight = { idle: freeAt <= now, ahead: queue.length, oldestMs: oldest ? now - oldest.at : 0, size }
    queue.push({ at: now, size, said: estimate(eta, sight) })
  }
  serve(Number.POSITIVE_INFINITY)
  return { eta, ended }

  /** Everything that starts or ends by then. */
  function serve(until: number): void {
    for (;;) {
      const running = starts[0]
      if (running && running.at <= until) {
        starts.shift()
        finished(eta, running.said, running.waitMs + running.runMs, running.runMs)
        ended.push(running)
        continue
      }
      const next = queue[0]
      if (!next || Math.max(freeAt, next.at) > until || running) return
      queue.shift()
      const from = Math.max(freeAt, next.at)
      const runMs = exponential(40 * next.size)
      freeAt = from + runMs
      started(eta, next.said, from - next.at)
      starts.push({ at: freeAt, said: next.said, waitMs: from - next.at, runMs })
    }
  }
}

test.each([0.6, 0.9])('the waits and finishes of tasks at %d of capacity are covered as often as promised', (load) => {
  const { ended } = simulate(41, 8000, load)
  const queued = ended.filter(({ said }) => !said.sight.idle)
  const waits = coverage(
    queued.map(({ said }) => said.wait),
    queued.map(({ waitMs }) => waitMs),
  )
  expect(queued.length).toBeGreaterThan(2000)
  expect(waits.p90).toBeGreaterThan(0.88)
  expect(waits.p90).toBeLessThan(0.92)
  const finishes = coverage(
    ended.map(({ said }) => said.finish),
    ended.map(({ waitMs, runMs }) => waitMs + runMs),
  )
  expect(finishes.p90).toBeGreaterThan(0.88)
  expect(finishes.p90).toBeLessThan(0.92)
})

test('a forecast wait is nearer than the average wait, as it knows the queue', () => {
  const { ended } = simulate(42, 6000, 0.9)
  const late = ended.slice(1000)
  const waits = late.map(({ waitMs }) => waitMs)
  const average = waits.reduce((sum, wait) => sum + wait, 0) / waits.length
  const score = wape(
    late.map(({ said }) => said.wait.p50),
    waits,
  )
  const naive = wape(
    late.map(() => average),
    waits,
  )
  expect(score).toBeLessThan(0.7 * naive)
})

test('a longer queue makes for a later start, and a larger task for a later end', () => {
  const { eta } = simulate(43, 4000, 0.9)
  const sight = (ahead: number, size = 20): Sight => ({ idle: false, ahead, oldestMs: ahead * 900, size })
  expect(estimate(eta, sight(30)).wait.p50).toBeGreaterThan(3 * estimate(eta, sight(3)).wait.p50)
  const small = estimate(eta, sight(3, 5)).finish
  const large = estimate(eta, sight(3, 45)).finish
  expect(large.p50).toBeGreaterThan(small.p50)
})

test('before any task has started an estimate is wide, and says that it is early', () => {
  const { wait, finish } = estimate(createEta(), IDLE)
  for (const said of [wait, finish]) {
    expect(said.basis).toBe('early')
    expect(said.p90).toBeGreaterThan(2 * said.p50)
    expect(said.p10).toBe(0)
  }
})

test('a class whose tasks start at once is soon known for it', () => {
  const eta = createEta()
  for (let i = 0; i < 300; i++) {
    const said = estimate(eta, IDLE)
    started(eta, said, 0)
    finished(eta, said, 200, 200)
  }
  const { wait, finish } = estimate(eta, IDLE)
  expect(wait.basis).toBe('learned')
  expect(wait.p90).toBeLessThan(50)
  expect(finish.p50).toBeGreaterThan(150)
  expect(finish.p90).toBeLessThan(400)
})

test('the state of a class is plain data of two kilobytes, and a task that is followed takes some 150 bytes', () => {
  const { eta, ended } = simulate(44, 500, 0.9)
  const written = serialize(eta)
  expect(deserialize(written)).toEqual(eta)
  expect(written.length).toBeLessThan(2_000)
  const { said } = ended.at(-1)!
  const numbers = keptOf(said)
  expect(serialize(numbers).length).toBeLessThan(150)
  expect(keptOf(kept(numbers))).toEqual(numbers)
  expect(kept(numbers).wait.p90).toBeCloseTo(said.wait.p90, 2)
  expect(kept(numbers).asked.finish.condition).toBe(said.asked.finish.condition)
})
