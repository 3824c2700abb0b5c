import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { openSpool } from '../../agent/spool.ts'
import { call } from '../../client/edge.ts'
import { LEASE_MS } from '../../core/lease.ts'
import { parseAmount, splitFee } from '../../core/money.ts'
import type { Minute, NetworkSnapshot } from '../../core/protocol/network.ts'
import type { TaskView } from '../../core/protocol/task.ts'
import { runnersOf, startAgentProcess, untilRunnerWorks } from '../support/agent-process.ts'
import { createWorld, newRequester, readTask, seeded, type World } from '../support/fault-world.ts'
import { booksGap, eventually, readBalances, readBooks, untilSettled } from '../support/ledger.ts'
import { readEnded, submitAlong } from '../support/market-load.ts'
import { createProgress } from '../support/progress.ts'
import { pollOnce, registerPuller, resultOf, startPuller } from '../support/pull-provider.ts'
import { longEmbedding, pageToRead, submit, untilEnded } from '../support/real-work.ts'

const TASKS = 1000
const KILLS = 3
const PULLERS = 5
/** Tasks a submitter sends in one call. */
const BATCHES = [1, 1, 1, 40, 75]
const CHAT = { kind: 'llm.chat', input: { messages: [{ role: 'user', content: '0' }], max_tokens: 64 } }
const REFUSALS = ['attempt_over', 'lease_not_found', 'task_finished', 'unknown_attempt']

let world: World
/** The tasks of the first test, with who submitted them. */
let loaded: [id: string, submitter: number][] = []
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.end())
beforeEach(({ onTestFailed }) => onTestFailed(async () => console.log(await world.lastLog())))

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
  const load = { model, tasks: TASKS, open: 100, progress }
  const submitted = Promise.all(requesters.map((requester, i) => submitAlong(world, requester, load, BATCHES[i]!)))

  const isSubmitting = () => progress.sending > 0 || progress.acknowledged.size >= TASKS
  const downs: number[] = []
  for (let kill = 1; kill <= KILLS; kill++) {
    const moment = Math.round(((kill - random.between(30, 70) / 100) * TASKS) / KILLS)
    await Promise.race([progress.until(() => progress.ended.size >= moment && isSubmitting()), failed])
    await wait(random.between(0, 12))
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

  loaded = views.map(({ id }) => [id, progress.given.get(id)!])

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

/* The three that leave the edge alone run side by side: the lease that expires takes its time. */

const MINUTES = 60_000

test.concurrent('a killed agent costs its task a moment, and goes on with the same folder', {
  timeout: 2 * MINUTES,
}, async ({ expect }) => {
  const agents = await Promise.all(['east', 'west'].map((name) => startAgentProcess(world, name, ['text.embed'])))
  const requester = await newRequester(world)
  const { id } = await submit(requester, longEmbedding())
  const held = (await readTask(requester, id)).attempts[0]!
  const killed = agents.find(({ address }) => address === held.provider)!
  const other = agents.find((agent) => agent !== killed)!
  const idle = runnersOf(killed)
  expect(idle).toHaveLength(1)
  await untilRunnerWorks(killed, idle)
  const killedAt = Date.now()
  await killed.kill9()

  const view = await untilEnded(requester, id, LEASE_MS + 5000)
  expect(view.status).toBe('succeeded')
  expect(view.attempts).toMatchObject([
    { provider: killed.address, state: 'lost' },
    { provider: other.address, state: 'succeeded' },
  ])
  const handedOver = view.attempts[1]!.grantedAt - killedAt
  console.log(
    `agent killed: the task went to another after ${handedOver} ms, done after ${view.finishedAt! - killedAt} ms`,
  )
  expect(handedOver).toBeLessThan(10_000)

  const back = await startAgentProcess(world, killed === agents[0] ? 'east' : 'west', ['text.embed'])
  expect(back.address).toBe(killed.address)
  const next = await submit(requester, longEmbedding([other.address]))
  expect(await untilEnded(requester, next.id, 30_000)).toMatchObject({ status: 'succeeded', provider: back.address })
  await Promise.all([back.stop(), other.stop()])
})

test.concurrent('a provider that falls silent loses its lease by the clock, and its late result is refused', {
  timeout: 2 * MINUTES,
}, async ({ expect }) => {
  const offer = { kind: 'llm.chat' as const, model: 'faults/silent' }
  const [silent, requester] = [await registerPuller(world, offer, 1), await newRequester(world)]
  const { id } = await submit(requester, { ...CHAT, model: offer.model })
  const { leases } = await pollOnce(silent.caller, { free: 1, waitSeconds: 20 })
  expect(leases.map((lease) => lease.id)).toEqual([`${id}.1`])

  const plan = { offer, slots: 1, random: seeded(1), progress: createProgress(), unruly: 0 }
  const other = await startPuller(world, plan)
  const view = await untilEnded(requester, id, LEASE_MS + 15_000)
  await other.stop()
  expect(view.attempts).toMatchObject([
    { provider: silent.address, state: 'lost' },
    { provider: other.address, state: 'succeeded' },
  ])
  const [lost] = view.attempts
  expect(lost!.endedAt! - lost!.grantedAt).toBeGreaterThanOrEqual(LEASE_MS)
  expect(lost!.endedAt! - lost!.grantedAt).toBeLessThan(LEASE_MS + 5000)

  const late = await pollOnce(silent.caller, { seen: leases[0]!.seq, results: [resultOf(`${id}.1`, 40)] })
  expect(late.results).toEqual([{ lease: `${id}.1`, accepted: false, code: 'task_finished' }])
  expect(await readTask(requester, id)).toEqual(view)
  expect((await readBalances(silent)).earned).toBe(0n)
})

test.concurrent('a task that kills its runner each time fails with every error kept, and the agent lives on', {
  timeout: 2 * MINUTES,
}, async ({ expect }) => {
  const agent = await startAgentProcess(world, 'reader', ['doc.ocr'])
  const requester = await newRequester(world)
  const page = await pageToRead()
  let runners = runnersOf(agent)
  const { id } = await submit(requester, { ...page, maxAttempts: 3 })
  for (let attempt = 1; attempt <= 3; attempt++) {
    const { pid } = await untilRunnerWorks(agent, runners)
    process.kill(pid, 'SIGKILL')
    await agent.says(({ event, lease }) => event === 'task' && lease === `${id}.${attempt}`)
    runners = runnersOf(agent)
  }
  const view = await untilEnded(requester, id, 30_000)
  expect(view).toMatchObject({ status: 'failed', price: '0', error: { code: 'runner_crashed' } })
  const crashed = { provider: agent.address, state: 'failed', error: { code: 'runner_crashed' } }
  expect(view.attempts).toMatchObject([crashed, crashed, crashed])
  expect(view.attempts[0]!.error!.message).toContain('SIGKILL')

  const good = await submit(requester, page)
  const read = await untilEnded(requester, good.id, 30_000)
  expect(read).toMatchObject({ status: 'succeeded', provider: agent.address })
  expect(agent.events.filter(({ event }) => event === 'offline' || event === 'error')).toEqual([])
  expect((await readBalances(requester)).spent).toBe(parseAmount(read.price!))
  const shown = (await snapshot()).providers.find(({ address }) => address === agent.address)
  expect(shown).toMatchObject({ active: true, failed: 0, succeeded: 1 })
  await agent.stop()
})

test('work that an agent finishes while the edge is down is accepted and paid once', {
  timeout: 2 * MINUTES,
}, async () => {
  const agent = await startAgentProcess(world, 'patient', ['text.embed'])
  const requester = await newRequester(world)
  const idle = runnersOf(agent)
  const { id } = await submit(requester, longEmbedding())
  await untilRunnerWorks(agent, idle)
  const spooled = async () => (await openSpool(join(agent.state, 'spool'), world.url)).load()
  await world.crash(async () => {
    const { lease, status } = await agent.says(({ event }) => event === 'task')
    expect([lease, status]).toEqual([`${id}.1`, 'succeeded'])
    expect(await spooled()).toHaveLength(1)
  })

  const view = await untilEnded(requester, id, 30_000)
  expect(view.attempts).toMatchObject([{ number: 1, provider: agent.address, state: 'succeeded' }])
  await eventually('the spool is empty', 30_000, async () => ((await spooled()).length === 0 ? true : undefined))
  expect(agent.events.filter(({ event }) => event === 'refused')).toEqual([])
  expect((await readBalances(requester)).spent).toBe(parseAmount(view.price!))
  const paid = await eventually('the agent is paid', 20_000, async () => {
    const { earned } = await readBalances(world.providers.find(({ address }) => address === agent.address)!)
    return earned > 0n ? earned : undefined
  })
  expect(paid).toBe(splitFee(parseAmount(view.price!)).earned)
  await agent.stop()
})

test('a second start on the same state keeps totals, outputs, money and the series', {
  timeout: 2 * MINUTES,
}, async () => {
  const { missing, totals } = await untilSettled(world, 20_000)
  expect(missing).toBe(0n)
  const sample = loaded.filter((_, i) => i % 50 === 0)
  const facts = async () => {
    const { metrics, status } = await snapshot()
    const { totalTasks, totalProviders } = metrics
    // What idle purses give back changes drawn and free of the books at any time; the accounts' totals see that it adds up.
    const { held, captured, earned, fees } = await readBooks(world)
    const tasks = await readEnded(world, sample)
    return { totalTasks, totalProviders, status, held, captured, earned, fees, tasks }
  }
  const series = () => call<{ minutes: Minute[] }>({ edge: world.url }, 'GET', '/v1/network/series')
  const counted = (minutes: Minute[]) => minutes.reduce((sum, { succeeded }) => sum + succeeded, 0)
  const before = await facts()
  const { minutes } = await eventually('the history has the minutes of the load', 65_000, async () => {
    const read = await series()
    return counted(read.minutes) >= loaded.length ? read : undefined
  })

  await world.restart()
  expect(await facts()).toEqual(before)
  expect((await untilSettled(world, 20_000)).totals).toEqual(totals)
  expect((await series()).minutes.slice(0, minutes.length - 1)).toEqual(minutes.slice(0, -1))
  expect(counted((await series()).minutes)).toBeGreaterThanOrEqual(counted(minutes))
})
