/** `npm run -s bench -- NAME... [--json] [--check] [--quick] [--data FILE] [--peers DIR] [--write]`: the benches of test/bench, each with its bars. `--write` keeps what
 * came out in docs/benchmarks.json. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, platform, release, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { terminal } from '../client/cli/terminal.ts'
import type { Bar, Bench, Figures } from '../test/bench/bench.ts'
import { Fault } from './checks.ts'
import { inRoot, ROOT } from './paths.ts'

const NAMES = [
  'dispatch',
  'match',
  'stream',
  'forecast',
  'settle',
  'agent',
  'cost',
  'idle',
  'fanout',
  'cold',
  'overload',
  'web',
]

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean' },
    check: { type: 'boolean' },
    quick: { type: 'boolean' },
    data: { type: 'string' },
    peers: { type: 'string' },
    write: { type: 'boolean' },
  },
})

const out = terminal(values.json ? process.stderr : process.stdout)
let missed = false
try {
  for (const name of positionals.length > 0 ? positionals : NAMES) {
    const bench = await load(name)
    out.heading(`bench ${bench.name}`)
    const { quick = false, data, peers } = values
    const { figures, bars } = await bench.run({ quick, data, peers, log: (line) => out.note(line) })
    const result = { bench: name, commit: commit(), machine: machine(), figures, bars }
    if (values.json) console.log(JSON.stringify(result))
    else print(figures, bars)
    if (values.write) keep(name, { date: new Date().toISOString(), quick, load: loadavg()[0]!, ...result })
    missed ||= bars.some(({ ok }) => !ok)
  }
} catch (error) {
  if (error instanceof Fault) out.fault(error.message, error.mend)
  else console.error(error)
  process.exit(1)
}
process.exit(values.check && missed ? 1 : 0)

async function load(name: string): Promise<Bench> {
  if (!NAMES.includes(name)) throw new Fault(`There is no bench "${name}".`, `The benches are ${NAMES.join(', ')}.`)
  const module = (await import(new URL(`../test/bench/${name}.ts`, import.meta.url).href)) as { bench: Bench }
  return module.bench
}

/** The last run of each bench, however it was run. */
function keep(name: string, result: object): void {
  const file = inRoot('docs/benchmarks.json')
  const kept = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, object>) : {}
  writeFileSync(file, `${JSON.stringify({ ...kept, [name]: result }, null, 2)}\n`)
}

function print(figures: Figures, bars: Bar[]): void {
  const width = Math.max(...Object.keys(figures).map((name) => name.length))
  for (const [name, value] of Object.entries(figures)) {
    const bar = bars.find(({ figure }) => figure === name)
    const verdict = bar ? `${bar.ok ? out.good('holds') : out.bad('missed')}  ${bar.op} ${bar.limit}` : ''
    out.line(`${name.padEnd(width)}  ${String(value).padStart(10)}  ${verdict}`)
  }
}

function commit(): string {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim()
  try {
    const dirty = git('status', '--porcelain') === '' ? '' : '-dirty'
    return git('rev-parse', '--short', 'HEAD') + dirty
  } catch {
    return 'unknown'
  }
}

function machine() {
  const processors = cpus()
  return {
    os: `${platform()} ${release()}`,
    cpu: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
  }
}
