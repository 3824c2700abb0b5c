import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { privateKeyToAccount } from 'viem/accounts'
import { afterEach, expect, test, vi } from 'vitest'
import { type Agent, startAgent } from '#agent/agent.ts'
import { createEdge } from '#agent/edge.ts'
import type { LogEvent, LogFields } from '#agent/log.ts'
import { openSpool } from '#agent/spool.ts'
import { TIMING, type Timing } from '#agent/timing.ts'
import { createTurns } from '#agent/work.ts'
import { LIMITS } from '#core/protocol/values.ts'
import type { Kind } from '#core/protocol/work.ts'
import { createHeldRunner } from '../support/in-process-runner.ts'
import { type ScriptedEdge, startScriptedEdge } from '../support/scripted-edge.ts'

const ACCOUNT = privateKeyToAccount(`0x${'11'.repeat(32)}`)
const NO_HURRY = new AbortController().signal
const QUICK = { ...TIMING, backoffMs: 20, backoffMaxMs: 200, socketRetryMs: 60_000, emptyPollMs: 50 }
const INPUT = { texts: ['hello'] }

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

type World = {
  edge?: Parameters<typeof startScriptedEdge>[0]
  timing?: Partial<Timing>
  state?: string
  kind?: Kind
  concurrency?: number
}

async function start(world: World = {}, on?: ScriptedEdge) {
  const edge = on ?? (await startScriptedEdge(world.edge))
  const state = world.state ?? (await mkdtemp(join(tmpdir(), 'agent-')))
  const kind = world.kind ?? 'text.embed'
  const held = createHeldRunner({ kind, ...(world.concurrency ? { concurrency: world.concurrency } : {}) })
  const lines: { event: LogEvent; fields: LogFields }[] = []
  const agent = await startAgent({
    edge: createEdge(edge.url, ACCOUNT, Date.now),
    registration: { name: 't', slots: 4, agent: 'test', offers: [{ kind, model: 'held', ask: '0.000001', speed: 1 }] },
    runners: [held.runner],
    turns: createTurns(),
    spool: await openSpool(join(state, 'spool'), edge.url),
    log: (event, fields = {}) => void lines.push({ event, fields }),
    now: Date.now,
    random: Math.random,
    timing: { ...QUICK, ...world.timing },
  })
  const stopped = stopOnce(agent)
  cleanups.push(async () => {
    if (!on) await edge.close()
  }, stopped)
  const { script } = edge
  await edge.until(() => script.polls.length > 0)
  const grant = (id: string, parts = {}) => edge.grant({ id, kind, model: 'held', input: INPUT, ...parts })
  const running = (count: number) => vi.waitUntil(() => held.runs.length === count, { interval: 5, timeout: 5000 })
  const events = (event: LogEvent) => lines.filter((line) => line.event === event).map(({ fields }) => fields)
  return { edge, script, state, runs: held.runs, agent, grant, running, events, stopped }
}

function stopOnce(agent: Agent) {
  let stopping: Promise<void> | undefined
  const atOnce = AbortSignal.abort()
  return () => (stopping ??= agent.stop(0, atOnce))
}

const spooled = async (state: string, { url }: ScriptedEdge) =>
  (await openSpool(join(state, 'spool'), url)).load().length

test.each(['socket', 'poll'])('a lease that comes by %s is run and its result accepted', async (transport) => {
  const { edge, script, state, runs, grant, running, events } = await start({
    edge: { sockets: transport === 'socket' },
  })
  grant('a.1')
  await running(1)
  expect(runs[0]!.input).toEqual(INPUT)
  runs[0]!.resolve()
  await edge.until(() => script.results.has('a.1'))
  await vi.waitUntil(async () => (await spooled(state, edge)) === 0)
  expect(events('online')).toMatchObject([{ transport }])
  expect(events('task')).toMatchObject([{ lease: 'a.1', status: 'succeeded' }])
})

test.each([-3_600_000, 3_600_000])('signs in by the clock of an edge that is %i ms off', async (skewMs) => {
  const { script } = await start({ edge: { skewMs } })
  expect(Math.abs(script.signIns[0]!.issuedAt - Date.now() - skewMs)).toBeLessThan(30_000)
})

test('signs in again when the token has expired, with a later time than before', async () => {
  const { edge, script } = await start({ edge: { sockets: false } })
  script.token++
  edge.grant({ id: 'x.1', kind: 'text.embed', model: 'held', input: INPUT })
  await edge.until(() => script.signIns.length === 2)
  expect(script.signIns[1]!.issuedAt).toBeGreaterThan(script.signIns[0]!.issuedAt)
})

test('a lease that is delivered again runs once, while it runs and after', async () => {
  const { edge, script, runs, grant, running } = await start()
  const lease = grant('a.1')
  edge.push({ leases: [lease] })
  grant('b.1')
  await running(2)
  runs[0]!.resolve()
  await edge.until(() => script.results.has('a.1'))
  edge.push({ leases: [lease] })
  grant('c.1')
  await running(3)
  expect(script.polls.every(({ results }) => results.length < 2)).toBe(true)
})

test('a lease whose answer was lost is delivered again after the reconnect', async () => {
  const { edge, script, running } = await start()
  edge.cut()
  script.loseAnswers = 1
  script.open.set('a.1', { ...edge.grant({ id: 'a.1', kind: 'text.embed', model: 'held', input: INPUT }) })
  await running(1)
  expect(script.polls.length).toBeGreaterThanOrEqual(3)
})

test('a revoked lease is aborted and hands in nothing', async () => {
  const { edge, script, runs, grant, running, events } = await start()
  grant('a.1')
  await running(1)
  edge.revoke('a.1')
  await vi.waitUntil(() => runs[0]!.options.signal.aborted)
  grant('b.1')
  await running(2)
  runs[1]!.resolve()
  await edge.until(() => script.results.has('b.1'))
  expect(script.polls.flatMap(({ results }) => results).map(({ lease }) => lease)).toEqual(['b.1'])
  expect(events('task')[0]).toMatchObject({ lease: 'a.1', status: 'revoked' })
})

test('an agent that was told to stop its last task says at once that it has room again', async () => {
  const { edge, script, runs, grant, running } = await start()
  grant('a.1')
  await running(1)
  await edge.until(() => script.polls.length > 0)
  const from = script.polls.length
  edge.revoke('a.1')
  await edge.until(() => script.polls.length > from)
  expect(script.polls.at(-1)).toMatchObject({ free: script.polls[0]!.free, renew: [] })
  expect(runs[0]!.options.signal.aborted).toBe(true)
})

test('a result whose answer was lost is handed in again', async () => {
  const { edge, script, state, runs, grant, running, events } = await start()
  grant('a.1')
  await running(1)
  script.loseAnswers = 1
  runs[0]!.resolve()
  await vi.waitUntil(async () => events('refused').length === 1)
  const sent = script.polls.flatMap(({ results }) => results).filter(({ lease }) => lease === 'a.1')
  expect(sent).toHaveLength(2)
  expect(edge.script.results.size).toBe(1)
  expect(await spooled(state, edge)).toBe(0)
})

test('leases are renewed every third of their time, and an idle agent sends nothing', async () => {
  const { edge, script, grant, running } = await start({ edge: { leaseSeconds: 0.6 } })
  grant('a.1')
  await running(1)
  const from = script.polls.length
  await edge.until(() => script.polls.length >= from + 3)
  const times = script.polls.slice(from).map(({ at }) => at)
  for (const poll of script.polls.slice(from)) expect(poll.renew).toEqual(['a.1'])
  expect(times[2]! - times[0]!).toBeGreaterThanOrEqual(350)
  edge.revoke('a.1')
  await edge.until(() => script.polls.at(-1)!.renew.length === 0)
  const idleFrom = script.polls.length
  await new Promise((resolve) => setTimeout(resolve, 500))
  expect(script.polls.length).toBe(idleFrom)
})

test('an idle socket is pinged, and one that stays silent is given up', async () => {
  const { edge, script, events } = await start({ timing: { pingMs: 100, answerMs: 300 } })
  await edge.until(() => script.pings > 0)
  expect(events('offline')).toEqual([])
  script.pings = Number.NaN // the script answers pings no more
  await vi.waitUntil(() => events('offline').length > 0, { timeout: 5000 })
  expect(events('offline')[0]).toEqual({ reason: 'the edge stopped answering' })
})

test('where sockets are shut out it polls, and takes the socket when it opens again', async () => {
  const { script, events } = await start({ edge: { sockets: false }, timing: { socketRetryMs: 300 } })
  expect(script.polls[0]!.transport).toBe('poll')
  script.sockets = true
  await vi.waitUntil(() => events('online').length === 2, { timeout: 5000 })
  expect(events('online').map(({ transport }) => transport)).toEqual(['poll', 'socket'])
})

test('an edge that does not hold its polls is not polled in a tight loop', async () => {
  const { script } = await start({ edge: { sockets: false, holdPolls: false }, timing: { emptyPollMs: 100 } })
  const from = script.polls.length
  await new Promise((resolve) => setTimeout(resolve, 1000))
  expect(script.polls.length - from).toBeLessThan(8)
})

test.each([true, false])('registers again when the edge knows it no more (sockets: %s)', async (sockets) => {
  const { edge, script, grant, running } = await start({ edge: { sockets } })
  script.registered = false
  edge.cut()
  grant('a.1')
  await edge.until(() => script.registrations.length === 2)
  await running(1)
})

test('an outage of the edge costs no lease and no result', async () => {
  const first = await start()
  const { edge, state, runs, grant, running, events } = first
  grant('a.1')
  grant('b.1')
  await running(2)
  const port = Number(new URL(edge.url).port)
  const open = [...edge.script.open.values()]
  await edge.close()
  runs[0]!.resolve()
  await vi.waitUntil(() => events('task').length === 1)
  expect(await spooled(state, edge)).toBe(1)
  const again = await startScriptedEdge({ port })
  cleanups.unshift(() => again.close())
  for (const lease of open) again.script.open.set(lease.id, lease)
  await again.until(() => again.script.results.has('a.1'))
  runs[1]!.resolve()
  await again.until(() => again.script.results.has('b.1'))
  expect(runs).toHaveLength(2)
})

test('results of an earlier run are handed in before anything else, and their leases not run again', async () => {
  const edge = await startScriptedEdge()
  cleanups.push(() => edge.close())
  const state = await mkdtemp(join(tmpdir(), 'agent-'))
  const lease = edge.grant({ id: 'a.1', kind: 'text.embed', model: 'held', input: INPUT })
  const spool = await openSpool(join(state, 'spool'), edge.url)
  const usage = { inputTokens: 1, outputTokens: 0 }
  await spool.save({ lease: lease.id, outcome: { status: 'succeeded', output: { embeddings: [[2]] }, usage } })
  await spool.close()
  const { script, runs } = await start({ state }, edge)
  await edge.until(() => script.results.has('a.1'))
  expect(script.polls[0]!.results).toHaveLength(1)
  expect(runs).toHaveLength(0)
  await vi.waitUntil(async () => (await spooled(state, edge)) === 0)
})

test('bad input, a failing runner, an unknown model and too much output fail their attempts and no more', async () => {
  const { edge, script, runs, grant, running } = await start()
  grant('input.1', { input: { texts: [] } })
  grant('model.1', { model: 'other' })
  grant('fail.1')
  grant('big.1')
  await running(2)
  runs[0]!.reject(new Error('no such luck'))
  runs[1]!.resolve({ text: 'x'.repeat(LIMITS.outputBytes) })
  await edge.until(() => script.results.size === 4)
  const codes = [...script.results].map(([id, { outcome }]) => [
    id,
    outcome.status === 'failed' ? outcome.error.code : '-',
  ])
  expect(Object.fromEntries(codes)).toEqual({
    'input.1': 'invalid_input',
    'model.1': 'not_offered',
    'fail.1': 'runner_failed',
    'big.1': 'output_too_large',
  })
})

test('a runner has no more tasks at once than it can take; the others wait and are renewed', async () => {
  const { edge, script, runs, grant, running } = await start({ concurrency: 1 })
  for (const id of ['a.1', 'b.1']) grant(id)
  await running(1)
  runs[0]!.resolve()
  await running(2)
  await edge.until(() => script.results.has('a.1'))
  expect(script.polls.at(-1)).toMatchObject({ renew: ['b.1'], free: 3 })
})

test('a leaving agent takes nothing new, finishes what it can and gives the rest back', async () => {
  const { edge, script, runs, agent, grant, running, events } = await start()
  grant('a.1')
  grant('b.1')
  await running(2)
  const stopped = agent.stop(400, NO_HURRY)
  await edge.until(() => script.polls.at(-1)!.free === 0)
  runs[0]!.resolve()
  await stopped
  expect(script.results.get('a.1')!.outcome.status).toBe('succeeded')
  expect(script.results.get('b.1')!.outcome.status).toBe('returned')
  expect(runs[1]!.options.signal.aborted).toBe(true)
  expect(events('task').map(({ status }) => status)).toEqual(['succeeded', 'returned'])
})

test('output is streamed as it comes and complete before the result is handed in', async () => {
  const { edge, script, runs, running, grant } = await start({ kind: 'llm.chat' })
  grant('a.1', { stream: true, input: { messages: [{ role: 'user', content: 'hi' }] } })
  await running(1)
  const words = Array.from({ length: 50 }, (_, i) => `${i} `)
  runs[0]!.options.onDelta(words[0]!, 1)
  await edge.until(() => script.outputs.get('a.1')?.length === 1)
  for (const word of words.slice(1)) runs[0]!.options.onDelta(word, 1)
  runs[0]!.resolve({ content: words.join(''), finishReason: 'stop' })
  await edge.until(() => script.results.has('a.1'))
  expect(script.outputs.get('a.1')).toEqual(words)
  expect(script.outputFrames.length).toBeLessThan(10)
})

test('the first output goes by the socket that is open already', async () => {
  const { edge, script, runs, running, grant } = await start({ kind: 'llm.chat' })
  script.outputOpensLate = true
  grant('a.1', { stream: true, input: { messages: [{ role: 'user', content: 'hi' }] } })
  await running(1)
  for (const word of ['a', 'b']) runs[0]!.options.onDelta(word, 1)
  runs[0]!.resolve({ content: 'ab', finishReason: 'stop' })
  await edge.until(() => script.results.has('a.1'))
  expect(script.outputFrames[0]).toMatchObject({ socket: 'provider', frame: { from: 0, deltas: ['a'] } })
  expect(script.outputFrames.slice(1).every(({ socket }) => socket === 'output')).toBe(true)
  expect(script.outputs.get('a.1')).toEqual(['a', 'b'])
})

test('a cut output stream goes on where the edge wants it', async () => {
  const { edge, script, runs, running, grant } = await start({ kind: 'llm.chat' })
  script.cutOutputAfter = 2
  grant('a.1', { stream: true, input: { messages: [{ role: 'user', content: 'hi' }] } })
  await running(1)
  for (let i = 0; i < 5; i++) {
    runs[0]!.options.onDelta(`${i} `, 1)
    if (i < 2) await edge.until(() => script.outputs.get('a.1')?.length === i + 1)
  }
  await edge.until(() => script.outputs.get('a.1')?.length === 5)
  runs[0]!.resolve({ content: '0 1 2 3 4 ', finishReason: 'stop' })
  await edge.until(() => script.results.has('a.1'))
  expect(script.outputs.get('a.1')).toEqual(['0 ', '1 ', '2 ', '3 ', '4 '])
})

test('an edge that lost the output gets all of it again', async () => {
  const { edge, script, runs, running, grant } = await start({ kind: 'llm.chat' })
  grant('a.1', { stream: true, input: { messages: [{ role: 'user', content: 'hi' }] } })
  await running(1)
  for (let i = 0; i < 3; i++) {
    runs[0]!.options.onDelta(`${i} `, 1)
    await edge.until(() => script.outputs.get('a.1')?.length === i + 1)
  }
  script.outputs.delete('a.1')
  runs[0]!.options.onDelta('3 ', 1)
  await edge.until(() => script.outputs.get('a.1')?.length === 4)
  runs[0]!.resolve({ content: '0 1 2 3 ', finishReason: 'stop' })
  await edge.until(() => script.results.has('a.1'))
  expect(script.outputs.get('a.1')).toEqual(['0 ', '1 ', '2 ', '3 '])
})

test('where sockets are shut out, output goes by PUT', async () => {
  const { edge, script, runs, running, grant } = await start({ kind: 'llm.chat', edge: { sockets: false } })
  grant('a.1', { stream: true, input: { messages: [{ role: 'user', content: 'hi' }] } })
  await running(1)
  for (const word of ['a', 'b', 'c']) runs[0]!.options.onDelta(word, 1)
  await edge.until(() => script.outputs.get('a.1')?.length === 3)
  runs[0]!.options.onDelta('d', 1)
  runs[0]!.resolve({ content: 'abcd', finishReason: 'stop' })
  await edge.until(() => script.results.has('a.1'))
  expect(script.outputBy).toBe('put')
  expect(script.outputs.get('a.1')).toEqual(['a', 'b', 'c', 'd'])
})
