import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { privateKeyToAccount } from 'viem/accounts'
import { afterEach, expect, test, vi } from 'vitest'
import type { Reading } from '#agent/limits.ts'
import type { LogEvent } from '#agent/log.ts'
import { loadSettings } from '#agent/settings.ts'
import { startStation } from '#agent/station.ts'
import { createHeldRunner } from '../support/in-process-runner.ts'
import { type ScriptedEdge, startScriptedEdge } from '../support/scripted-edge.ts'

const ACCOUNT = privateKeyToAccount(`0x${'11'.repeat(32)}`)
const DEVICE = { id: 'GPU-1', kind: 'nvidia', name: 'a card', memoryBytes: 8, freeBytes: 4, driver: '1' } as const
const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A station at two edges, with three slots and a runner whose engine may fail. */
async function start() {
  const edges = await Promise.all([startScriptedEdge(), startScriptedEdge()])
  const state = await mkdtemp(join(tmpdir(), 'station-'))
  const held = createHeldRunner()
  const engine = { fault: undefined as Error | undefined, checks: 0 }
  const runner = {
    ...held.runner,
    async check() {
      engine.checks++
      if (engine.fault) throw engine.fault
    },
  }
  const machine: Reading = { untouchedMs: 0 }
  const given = { state, edge: edges.map(({ url }) => url), slots: '3' }
  const events: LogEvent[] = []
  const station = await startStation({
    settings: loadSettings(given),
    account: ACCOUNT,
    found: [{ runner, probe: { speed: 1 } }],
    devices: [DEVICE],
    spool: join(state, 'spool'),
    log: (event) => void events.push(event),
    vigil: { everyMs: 20, againMs: 5, mostMs: 1000 },
    gauges: { read: async () => machine, cap: async () => {}, now: () => new Date(), everyMs: 5, graceMs: 20 },
  })
  cleanups.push(
    () => Promise.all(edges.map((edge) => edge.close())),
    () => station.stop(0, AbortSignal.abort()),
  )
  for (const edge of edges) await edge.until(() => edge.script.polls.length > 0)
  return { edges, station, runs: held.runs, engine, events, given, machine }
}

const lastFree = ({ script }: ScriptedEdge) => script.polls.at(-1)!.free
const asked = ({ script }: ScriptedEdge) => script.registrations.at(-1)!.offers[0]!.ask
const task = (id: string) => ({ id, kind: 'text.embed' as const, model: 'held', input: { texts: ['hello'] } })

test('several edges share the slots, none is promised twice, and each has its own leases', async () => {
  const { edges, station, runs } = await start()
  const [one, two] = edges
  expect(edges.map(lastFree)).toEqual([2, 1])
  expect(one.script.registrations[0]).toMatchObject({ slots: 2, devices: [{ id: 'GPU-1', freeBytes: 4 }] })
  // The same id at both is two leases.
  one.grant(task('a.1'))
  two.grant(task('a.1'))
  await vi.waitUntil(() => runs.length === 2)
  expect(station.view().edges.map(({ leases }) => leases.length)).toEqual([1, 1])
  for (const run of runs) run.resolve()
  for (const edge of edges) await edge.until(() => edge.script.results.has('a.1'))
  await vi.waitUntil(() => station.view().edges.every(({ works }) => works[0]?.succeeded === 1))
  expect(edges.map(lastFree).reduce((x, y) => x + y)).toBeLessThanOrEqual(3)
})

test('an edge with work borrows what another leaves idle', async () => {
  const { edges, station, runs } = await start()
  const [one, two] = edges
  two.grant(task('a.1'))
  await one.until(() => lastFree(one) === 1)
  await vi.waitUntil(() => station.view().edges[1]!.slots === 2)
  expect(station.view().edges[0]!.slots).toBe(1)
  two.grant(task('a.2'))
  await vi.waitUntil(() => runs.length === 2)
})

test('a pause takes no work and ends with resume', async () => {
  const { edges, station } = await start()
  station.setOpen(false)
  for (const edge of edges) await edge.until(() => lastFree(edge) === 0)
  expect(station.view().state).toBe('paused')
  station.setOpen(true)
  for (const edge of edges) await edge.until(() => lastFree(edge) > 0)
})

test('a machine that its owner uses takes no work, gives back what runs, says why, and works again when it is left alone', async () => {
  const { edges, station, runs, events, given, machine } = await start()
  edges[0].grant(task('a.1'))
  await vi.waitUntil(() => runs.length === 1)
  station.apply(loadSettings({ ...given, idle: '10' }))
  for (const edge of edges) await edge.until(() => lastFree(edge) === 0)
  await edges[0].until(() => edges[0].script.results.has('a.1'))
  expect(edges[0].script.results.get('a.1')!.outcome.status).toBe('returned')
  expect(runs[0]!.options.signal.aborted).toBe(true)
  expect(station.view()).toMatchObject({ state: 'resting', why: expect.stringContaining('left alone for 10 min') })
  machine.untouchedMs = 600_000
  for (const edge of edges) await edge.until(() => lastFree(edge) > 0)
  expect(station.view()).toMatchObject({ state: 'working', why: null })
  expect(events.filter((event) => event === 'rest' || event === 'resume')).toEqual(['rest', 'resume'])
})

test('new settings are told to the edges at once', async () => {
  const { edges, station, given } = await start()
  expect(edges.map(asked)).toEqual(['0.0000005', '0.0000005'])
  station.apply(loadSettings({ ...given, name: 'desk', price: ['text.embed=0.01'] }))
  for (const edge of edges) {
    await edge.until(() => edge.script.registrations.length === 2 && lastFree(edge) > 0)
    expect(edge.script.registrations[1]).toMatchObject({ name: 'desk', offers: [{ ask: '0.01' }] })
  }
  expect(() => station.apply(loadSettings({ ...given, slots: '1' }))).toThrow('1 slot')
})

test('an engine that fails three times in a row is offered no more until it works again', async () => {
  const { edges, engine, events } = await start()
  await vi.waitUntil(() => engine.checks > 2)
  expect(events).not.toContain('withdrawn')
  engine.fault = new Error('gone')
  for (const edge of edges) await edge.until(() => lastFree(edge) === 0)
  expect(events).toContain('withdrawn')
  engine.fault = undefined
  for (const edge of edges) await edge.until(() => lastFree(edge) > 0)
  expect(events.slice(events.indexOf('withdrawn'))).toContain('found')
})
