import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseAmount } from '../../core/money.ts'
import type { NetworkSnapshot, TaskView } from '../../core/protocol.ts'
import { call } from '../../scripts/api.ts'
import { createWorld, newRequester, seeded, type World } from '../support/fault-world.ts'
import { booksGap, eventually, readBalances, readBooks, untilSettled } from '../support/ledger.ts'
import { readEnded, submitAlong } from '../support/market-load.ts'
import { createProgress } from '../support/progress.ts'
import { startPuller } from '../support/pull-provider.ts'

const TASKS = 1000
const KILLS = 3
const PULLERS = 5
/** Tasks a submitter sends in one call. */
const BATCHES = [1, 1, 1, 40, 75]
const REFUSALS = ['attempt_over', 'lease_not_found', 'task_finished', 'unknown_attempt']

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.end())

const snapshot = () => call<NetworkSnapshot>({ edge: world.url }, 'GET', '/v1/network')

test('an edge that is killed again and again in the middle of 1,000 tasks ends each of them once', async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1e9)
  console.log(`seed ${seed}`)
  const random = seeded(seed)
  const progress = createProgress()
  const model = 'faults/pull'
  const plan = { offer: { kind: 'llm.chat' as const, model }, slots: 12, random, progress, unruly: 0.05 }
  const pullers = await Promise.all(Array.from({ length: PULLERS }, () => startPuller(world, plan)))
  const failed = Promise.race(pullers.map((puller) => puller.failed))
  const requesters = await Promise.all(BATCHES.map(() => newRequester(world)))
  const began = performance.now()
  const load = { model, tasks: TASKS, open: 200, progress }
  const submitted = Promise.all(requesters.map((requester, i) => submitAlong(world, requester, load, BATCHES[i]!)))

  const downs: number[] = []
  for (let kill = 1; kill <= KILLS; kill++) {
    const moment = Math.round(((kill - random.between(30, 70) / 100) * TASKS) / KILLS)
    await Promise.race([progress.until(() => progress.ended.size >= moment), failed])
    downs.push(await world.crash())
  }
  const lost = await Promise.race([submitted, failed])
  await Promise.race([
    progress.until(() => [...progress.acknowledged.keys()].every((id) => progress.ended.has(id))),
    failed,
  ])
  const seconds = (performance.now() - began) / 1000
  await eventually('the market is idle', 30_000, async () => ((await readBooks(world)).held === 0n ? true : undefined))
  await Promise.race([Promise.all(pullers.map((puller) => puller.stop())), failed])

  expect(progress.acknowledged.size).toBeGreaterThanOrEqual(TASKS)
  const views = await readEnded(world, new Map([...progress.given, ...progress.acknowledged]))
  for (const view of views) expectEndedOnce(view, progress.winners.get(view.id))
  const { metrics, status } = await snapshot()
  expect(metrics.totalTasks).toBe(views.length)
  expect(status).toEqual({ ...status, queued: 0, leased: 0, running: 0, succeeded: views.length, failed: 0 })

  const books = await readBooks(world)
  const paid = views.reduce((sum, { price }) => sum + parseAmount(price!), 0n)
  expect(booksGap(books)).toEqual({ drawn: 0n, captured: 0n })
  expect(books).toMatchObject({ held: 0n, captured: paid })
  const settling = performance.now()
  const { totals, missing } = await untilSettled(world, 20_000)
  const settled = performance.now() - settling
  expect(missing).toBe(0n)
  expect(totals).toMatchObject({ held: 0n, spent: paid, fees: books.fees, earned: books.earned })
  for (const requester of requesters) {
    const own = views.filter(({ id }) => world.requesters[progress.given.get(id)!] === requester)
    expect((await readBalances(requester)).spent).toBe(own.reduce((sum, { price }) => sum + parseAmount(price!), 0n))
  }

  const sum = (name: 'lostAnswers' | 'repeated' | 'stale' | 'dropped') =>
    pullers.reduce((total, { counts }) => total + counts[name], 0)
  const refused = new Map<string, number>()
  for (const { counts } of pullers) {
    for (const [code, count] of Object.entries(counts.refused)) refused.set(code, (refused.get(code) ?? 0) + count)
  }
  const unanswered = views.filter(({ id }) => !progress.acknowledged.has(id)).length
  const attempts = views.reduce((total, view) => total + view.attempts.length, 0)
  console.log(
    [
      `${progress.acknowledged.size} tasks acknowledged, ${unanswered} more without an answer: ${attempts} attempts, ${seconds.toFixed(1)} s`,
      `${KILLS} kills, served again after ${downs.map((ms) => Math.round(ms)).join(', ')} ms`,
      `answers lost: ${lost.reduce((a, b) => a + b)} of submitters, ${sum('lostAnswers')} of providers`,
      `results: ${sum('repeated')} repeated, ${sum('stale')} under an old attempt, ${sum('dropped')} late after a drop`,
      `results refused: ${JSON.stringify(Object.fromEntries(refused))}`,
      `accounts agreed to the unit ${Math.round(settled)} ms after the last`,
    ].join('\n'),
  )
  expect(REFUSALS).toEqual(expect.arrayContaining([...refused.keys()]))
})

/** Succeeded by exactly one attempt, with the output made under it; and no other result was ever called accepted. */
function expectEndedOnce(view: TaskView, accepted = new Set<string>()): void {
  const ended = view.attempts.filter(({ state }) => state === 'succeeded')
  expect([view.id, view.status, ended.length]).toEqual([view.id, 'succeeded', 1])
  const winner = `${view.id}.${ended[0]!.number}`
  expect((view.output as { content: string }).content).toBe(winner)
  expect([...accepted].filter((lease) => lease !== winner)).toEqual([])
  expect(view.attempts.filter(({ state }) => state === 'granted' || state === 'started')).toEqual([])
}
