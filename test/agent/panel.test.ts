import fc from 'fast-check'
import { expect, test } from 'vitest'
import { panelOf } from '#agent/panel.ts'
import { cut, paintsFor, widthOf, wrap } from '#agent/screen.ts'
import type { StationView } from '#agent/station.ts'

const NOW = 1_000_000
const PLAIN = paintsFor(false)
const EDGE: StationView['edges'][number] = {
  edge: 'https://edge.example',
  online: 'socket',
  cell: 'weur-0',
  slots: 4,
  leases: [
    { id: 'a.1', kind: 'llm.chat', model: 'm', startedAt: NOW - 12_000 },
    { id: 'b.1', kind: 'llm.chat', model: 'm', startedAt: NOW - 3_000 },
  ],
  works: [
    { kind: 'llm.chat', model: 'm', succeeded: 1234, failed: 0, units: 9, earned: '0.0123456789', speed: 51.234 },
  ],
}
const VIEW: StationView = {
  state: 'working',
  why: null,
  address: `0x${'ab'.repeat(20)}`,
  devices: [],
  edges: [EDGE],
}

test('the panel is one table: what runs, what was done, what it earned', () => {
  expect(panelOf(VIEW, NOW, 80, PLAIN)).toEqual([
    `  ● working  0x${'ab'.repeat(20)}`,
    '',
    '  https://edge.example  ● socket, weur-0  2 of 4 slots',
    '                               running   done    earned  units/s',
    '    llm.chat m                2 · 12 s  1,234  0.012345     51.2',
  ])
  const away = { ...VIEW, state: 'resting' as const, why: 'it is warm', edges: [{ ...EDGE, online: null, leases: [] }] }
  expect(panelOf(away, NOW, 80, PLAIN).slice(0, 4)).toEqual([
    `  ‖ resting  0x${'ab'.repeat(20)}`,
    '    it is warm',
    '',
    '  https://edge.example  ○ offline  0 of 4 slots',
  ])
})

test('no line is wider than the terminal, and no name moves the cursor', () => {
  const name = fc.string({ unit: 'binary', maxLength: 200 })
  fc.assert(
    fc.property(
      fc.array(name, { minLength: 1, maxLength: 3 }),
      name,
      fc.integer({ min: 60, max: 160 }),
      (models, cell, columns) => {
        const leases = models.map((model, i) => ({ id: `${i}.1`, kind: 'container.run' as const, model, startedAt: 0 }))
        const edge = { ...EDGE, edge: `https://${'long.'.repeat(30)}example`, cell: 'c'.repeat(20), leases }
        const why = cell || null
        const lines = panelOf({ ...VIEW, state: 'resting', why, edges: [edge] }, NOW, columns, PLAIN)
        expect(Math.max(...lines.map(widthOf))).toBeLessThanOrEqual(columns)
        expect(lines.join('')).not.toMatch(/\p{Cc}/u)
      },
    ),
    { numRuns: 30 },
  )
})

test('a text that is cut keeps both ends, and one that is wrapped all its words', () => {
  expect(cut('meta/llama-3.2-3b-instruct', 11)).toBe('meta/…truct')
  expect(cut('short', 11)).toBe('short')
  expect(wrap('one two three', 7)).toEqual(['one two', 'three'])
})
