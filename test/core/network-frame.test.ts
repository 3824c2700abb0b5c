import { expect, test } from 'vitest'
import { applyFrame, parseFrame } from '#core/network-frame.ts'
import type { NetworkSnapshot } from '#core/protocol/network.ts'

const snapshot: NetworkSnapshot = {
  at: 1_000,
  metrics: { totalProviders: 2, activeProviders: 1, totalTasks: 5, averageReputation: null, healthScore: null },
  reputation: null,
  health: [],
  status: { queued: 1, leased: 0, running: 0, verifying: 0, succeeded: 4, failed: 0, cancelled: 0, expired: 0 },
  minutes: [],
  latest: [],
  matches: [],
  simulated: false,
  providers: [],
}
const frame = (value: unknown) => parseFrame(JSON.stringify(value))

test('a snapshot frame starts the state, whatever was before', () => {
  const parsed = frame({ seq: 41, type: 'snapshot', snapshot })!
  expect(applyFrame(null, parsed)).toEqual({ seq: 41, snapshot })
  expect(applyFrame({ seq: 3, snapshot: { ...snapshot, at: 0 } }, parsed)).toEqual({ seq: 41, snapshot })
})

test('a delta replaces the fields it names and leaves the others as they are', () => {
  const metrics = { ...snapshot.metrics, totalTasks: 6 }
  const next = applyFrame({ seq: 1, snapshot }, frame({ seq: 2, type: 'delta', changes: { at: 2_000, metrics } })!)!
  expect(next).toEqual({ seq: 2, snapshot: { ...snapshot, at: 2_000, metrics } })
  expect(next.snapshot.providers).toBe(snapshot.providers)
})

test('a delta can take a value back to unknown', () => {
  const known = { ...snapshot, reputation: { low: 0.1, mean: 0.2, high: 0.3 } }
  const next = applyFrame({ seq: 1, snapshot: known }, frame({ seq: 2, type: 'delta', changes: { reputation: null } })!)
  expect(next?.snapshot.reputation).toBeNull()
})

test.each([
  ['skipped', 3],
  ['repeated', 1],
  ['older', 0],
])('a delta whose seq is %s asks for a new snapshot', (_, seq) => {
  expect(applyFrame({ seq: 1, snapshot }, frame({ seq, type: 'delta', changes: {} })!)).toBeNull()
})

test('a delta before any snapshot asks for one', () => {
  expect(applyFrame(null, frame({ seq: 1, type: 'delta', changes: {} })!)).toBeNull()
})

test.each([
  '',
  'pong',
  '{',
  'null',
  '[]',
  '1',
  '{"type":"snapshot"}',
  '{"seq":1,"type":"snapshot"}',
  '{"seq":1,"type":"snapshot","snapshot":{}}',
  '{"seq":1.5,"type":"delta","changes":{}}',
  '{"seq":"1","type":"delta","changes":{}}',
  '{"seq":1,"type":"delta"}',
  '{"seq":1,"type":"delta","changes":[]}',
  '{"seq":1,"type":"delta","changes":{"latest":{}}}',
  '{"seq":1,"type":"delta","changes":{"metrics":null}}',
  '{"seq":1,"type":"delta","changes":{"at":"now"}}',
  '{"seq":1,"type":"other","changes":{}}',
])('%j is no frame', (text) => {
  expect(parseFrame(text)).toBeNull()
})

test('a field of a later version is let through', () => {
  expect(frame({ seq: 2, type: 'delta', changes: { weather: 'fine' } })).not.toBeNull()
})
