/**
 * `npm run -s bench -- NAME... [--json] [--check] [--quick] [--data FILE] [--peers DIR] [--write]`: the benches of test/bench, each with
 * its bars. All of them when none is named. What came out is then kept in docs/benchmarks.json and .md; with `--write` also of those named.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, platform, release, totalmem } from 'node:os'
import { type Terminal, terminal } from '../client/cli/terminal.ts'
import type { Bar, Bench, Figures } from '../test/bench/bench.ts'
import { type Run, type Runs, withTable } from '../test/bench/record.ts'
import { Fault, parseArguments } from './checks.ts'
import { inRoot, ROOT } from './paths.ts'

const NAMES = [
  'dispatch',
  'cells',
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

const USAGE = `usage: npm run -s bench -- [NAME...] [--json] [--check] [--quick] [--data FILE] [--peers DIR] [--write], with NAME of ${NAMES.join(', ')}`

const errors = terminal(process.stderr)
try {
  process.exit(await main(options()))
} catch (error) {
  if (error instanceof Fault) errors.fault(error.message, error.mend)
  else console.error(error)
  process.exit(1)
}

/** @returns the exit status: 1 when a bar that was to be checked is missed */
async function main({ values, positionals }: ReturnType<typeof options>): Promise<number> {
  const { json = false, check = false, quick = false, data, peers } = values
  const all = positionals.length === 0
  const write = values.write || all
  const out = terminal(json ? process.stderr : process.stdout)
  // Before anything is written down, which changes the tree.
  const run = { commit: commit(), machine: machine() }
  let missed = false
  for (const name of all ? NAMES : positionals) {
    const bench = await load(name)
    out.heading(`bench ${bench.name}`)
    const { figures, bars } = await bench.run({ quick, data, peers, log: (line) => out.note(line) })
    const result = { ...run, figures, bars }
    if (json) console.log(JSON.stringify({ bench: name, ...result }))
    else print(out, figures, bars)
    if (write) keep(name, { date: new Date().toISOString(), quick, load: loadavg()[0]!, ...result })
    missed ||= bars.some(({ ok }) => !ok)
  }
  return check && missed ? 1 : 0
}

function options() {
  return parseArguments(
    {
      allowPositionals: true,
      options: {
        json: { type: 'boolean' },
        check: { type: 'boolean' },
        quick: { type: 'boolean' },
        data: { type: 'string' },
        peers: { type: 'string' },
        write: { type: 'boolean' },
      },
    },
    USAGE,
  )
}

async function load(name: string): Promise<Bench> {
  if (!NAMES.includes(name)) throw new Fault(`There is no bench "${name}".`, `The benches are ${NAMES.join(', ')}.`)
  const module = (await import(new URL(`../test/bench/${name}.ts`, import.meta.url).href)) as { bench: Bench }
  return module.bench
}

/** The last run of each bench, however it was run. */
function keep(name: string, run: Run): void {
  const file = inRoot('docs/benchmarks.json')
  const kept = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Runs) : {}
  const runs = { ...kept, [name]: run }
  writeFileSync(file, `${JSON.stringify(runs, null, 2)}\n`)
  const page = inRoot('docs/benchmarks.md')
  writeFileSync(page, withTable(readFileSync(page, 'utf8'), runs))
}

function print(out: Terminal, figures: Figures, bars: Bar[]): void {
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
