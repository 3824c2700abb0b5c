import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type Run, withTable } from '../bench/record.ts'

const PAGE = readFileSync(new URL('../../docs/benchmarks.md', import.meta.url), 'utf8')
const RUN: Run = {
  date: '2026-11-23T10:00:00.000Z',
  quick: false,
  load: 0.25,
  commit: 'abc1234',
  machine: { os: 'linux 6', cpu: 'a processor', cores: 2, memoryGb: 24, node: '24.21.0' },
  figures: { 'match.regret': 0, 'match.p99_us': 130, 'match.unbarred': 7 },
  bars: [
    { figure: 'match.regret', op: '<=', limit: 0, ok: true },
    { figure: 'match.p99_us', op: '<=', limit: 100, ok: false },
  ],
}

test('the page tells of each figure with a bar whether it was held, of which commit, when and where', () => {
  const page = withTable(PAGE, { match: RUN })
  const where = 'whole | 0.3 | abc1234 | 2026-11-23 | 2 cores, 24 GB, Node 24.21.0 |'
  expect(page).toContain(`\n| match | regret | 0 | <= 0 | ${where}\n`)
  expect(page).toContain(`\n| match | p99_us | 130 | <= 100, **missed** | ${where}\n`)
  expect(page).not.toContain('unbarred')
})

test('a table takes the place of the last, and what was written by hand stays', () => {
  const once = withTable(PAGE, { match: RUN })
  expect(withTable(once, { match: RUN })).toBe(once)
  expect(withTable(withTable(PAGE, { match: { ...RUN, commit: 'an older one' } }), { match: RUN })).toBe(once)
  const [before, after] = [PAGE.slice(0, PAGE.indexOf('## Last runs')), PAGE.slice(PAGE.indexOf('## dispatch'))]
  expect(once.startsWith(before)).toBe(true)
  expect(once.endsWith(after)).toBe(true)
})

test('a page that does not say where the table stands is left alone', () => {
  expect(() => withTable('# Benchmarks\n', { match: RUN })).toThrow('does not say where')
})
