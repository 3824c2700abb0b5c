/**
 * `npm run soak -- [--minutes N] [--rate N] [--json]`: a real network under a steady load with faults, for half an hour unless told
 * otherwise. Providers drop leases and send results twice, late or under old attempts; the edge is killed now and then. In the end each
 * task that was acknowledged has succeeded once and the books add up; what is told is how memory and the slowest waits changed.
 */
import { parseArgs } from 'node:util'
import { terminal } from '../client/cli/terminal.ts'
import { type Soaked, soak } from '../test/support/soak.ts'
import { buildWorker } from './build.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    /** Tasks a second. */
    rate: { type: 'string', default: '100' },
    json: { type: 'boolean', default: false },
  },
})
const out = terminal(values.json ? process.stderr : process.stdout)
await buildWorker()
const soaked = await soak({ minutes: Number(values.minutes), perSecond: Number(values.rate), log: out.note })
if (values.json) console.log(JSON.stringify(soaked))
else print(soaked)
process.exit(soaked.faults.length === 0 ? 0 : 1)

function print({ tasks, kills, slopes, faults, ...figures }: Soaked): void {
  out.heading(`${tasks} tasks, ${kills} kills of the edge`)
  for (const [name, value] of Object.entries(figures)) out.item(name, String(value))
  for (const [name, value] of Object.entries(slopes))
    out.item(`growth of ${name}`, value === null ? 'too short to tell' : `${(value * 100).toFixed(1)} %`)
  for (const fault of faults) out.item('did not hold', fault)
}
