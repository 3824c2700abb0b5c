import { expect, test } from 'vitest'
import { linesOf } from '#agent/commands/status.ts'
import { paintsFor, widthOf } from '#agent/screen.ts'
import type { StationView } from '#agent/station.ts'
import type { Earnings } from '#core/protocol/provider.ts'

const EARNINGS: Earnings = {
  earned: '12.5',
  devices: [
    { id: 'GPU-3f2b8a10-6a1c-4c55-9d1e-0c2d7f1a9b01', kind: 'nvidia', name: 'NVIDIA H200', tasks: 1234, earned: '10' },
    { id: 'CPU', kind: 'cpu', name: 'a processor, 2 threads', tasks: 0, earned: '0' },
    { id: 'GPU-that-was-sold', kind: null, name: null, tasks: 1, earned: '2.25' },
  ],
  unknown: '0.25',
}

/** What is shown below the panel. */
const shown = (earnings: Earnings | null, columns = 80) => {
  const edge = { edge: 'https://edge.example', online: null, cell: null, slots: 1, leases: [], works: [] }
  const view: StationView = { state: 'working', why: null, address: '0x', devices: [], edges: [edge] }
  const standings = [{ edge: edge.edge, earnings, why: null }]
  const lines = linesOf({ ...view, standings }, 0, columns, paintsFor(false))
  return lines.slice(
    lines.findIndex((line) => line.startsWith('  earned')),
    -1,
  )
}

test('status has a table of what each device earned, and says what is not known', () => {
  expect(shown(EARNINGS)).toEqual([
    '  earned  12.5 tokens in all',
    '    by device                             tasks  tokens',
    '    NVIDIA H200  GPU-3f2…1a9b01           1,234      10',
    '    a processor, 2 threads  CPU               0       0',
    '    no longer registered  GPU-tha…s-sold      1    2.25',
    '    not known                                      0.25',
  ])
  expect(shown({ ...EARNINGS, devices: EARNINGS.devices.slice(0, 1), earned: '10', unknown: '0' })).toHaveLength(3)
  expect(shown(null)).toEqual(['  earned  not known, for the edge does not say'])
})

test('no line of it is wider than the terminal, and no name moves the cursor', () => {
  const devices = [{ ...EARNINGS.devices[0]!, name: `\u001b[2J${'long '.repeat(24)}`, earned: '0.000000000000000001' }]
  const lines = shown({ ...EARNINGS, devices }, 60)
  expect(Math.max(...lines.map(widthOf))).toBeLessThanOrEqual(60)
  expect(lines.join('')).not.toMatch(/\p{Cc}/u)
})
