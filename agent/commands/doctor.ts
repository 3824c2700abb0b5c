/** Looks at everything an agent needs and says how to mend what is wrong. Changes nothing. */
import { readFile, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { privateKeyToAccount } from 'viem/accounts'
import { tellAgent } from '../control.ts'
import { findDevices } from '../devices/devices.ts'
import { createEdge, EdgeError } from '../edge.ts'
import { type Answer, call } from '../http.ts'
import { toRunnerError } from '../runner.ts'
import { proveSandbox } from '../sandbox.ts'
import { type Paints, screenOf, wrap } from '../screen.ts'
import { type Given, loadSettings, type Settings } from '../settings.ts'
import type { StationView } from '../station.ts'
import { listModels, USUAL } from '../upstreams.ts'

/** `ok` null: it is not as it might be, and the agent works without. */
export type Check = { name: string; ok: boolean | null; found: string; mend?: string }

const LOOK_MS = 5000
const INDENT = 13
/** Sign-ins bear some seconds; beyond this, leases and receipts carry a wrong time. */
const SKEW_MS = 5000
const LEAST_DISK_BYTES = 1024 ** 3

/** @returns the exit code: 1 when something has to be mended */
export async function doctor(given: Given, json: boolean): Promise<number> {
  const checks = await examine(given)
  const isWell = checks.every(({ ok }) => ok !== false)
  if (json) process.stdout.write(`${JSON.stringify({ ok: isWell, checks })}\n`)
  else {
    const { columns, paints } = screenOf(process.stdout)
    const lines = checks.flatMap((check) => linesOf(check, columns, paints))
    process.stdout.write(`${[...lines, '', ...wrap(verdict(checks), columns)].join('\n')}\n`)
  }
  return isWell ? 0 : 1
}

/** The last line: whether the agent can do its work. */
export function verdict(checks: readonly Check[]): string {
  const count = (ok: Check['ok']) => checks.filter((check) => check.ok === ok).length
  const [bad, missing] = [count(false), count(null)]
  if (bad > 0) return `${bad === 1 ? 'One thing has' : `${bad} things have`} to be mended first: see ✗ above.`
  return missing > 0 ? 'Ready: the agent works; what is marked - it does without.' : 'Ready: all is as it should be.'
}

export function linesOf(
  { name, ok, found, mend }: Check,
  columns: number,
  { good, warn, bad, faint }: Paints,
): string[] {
  const [symbol, paint] = ok ? (['✓', good] as const) : ok === null ? (['-', warn] as const) : (['✗', bad] as const)
  const [first, ...rest] = wrap(found, columns - INDENT)
  const below = (line: string) => ' '.repeat(INDENT) + line
  return [
    `${paint(symbol)} ${name.padEnd(INDENT - 3)} ${first}`,
    ...rest.map(below),
    ...(mend ? wrap(`to mend: ${mend}`, columns - INDENT).map((line) => faint(below(line))) : []),
  ]
}

export async function examine(given: Given): Promise<Check[]> {
  let settings: Settings
  try {
    settings = loadSettings(given)
  } catch (error) {
    return [
      node(),
      { name: 'settings', ok: false, found: (error as Error).message, mend: 'see daicn-agent run --help' },
    ]
  }
  const { state, edges, upstreams } = settings
  const sections = await Promise.all([
    [
      node(),
      {
        name: 'settings',
        ok: true,
        found: `${edges.length} ${edges.length === 1 ? 'edge' : 'edges'}, ${settings.file}`,
      },
    ],
    running(state),
    key(state),
    disk(state),
    devices(),
    sandbox(),
    models(
      [...new Set([...upstreams, ...USUAL])].filter((url) => !edges.includes(url)),
      upstreams,
    ),
    ...edges.map((url) => edge(url, state)),
  ])
  return sections.flat()
}

function node(): Check {
  const isNew = Number(process.versions.node.split('.')[0]) >= 20
  return {
    name: 'node',
    ok: isNew,
    found: process.versions.node,
    ...(isNew ? {} : { mend: 'install Node 20 or newer' }),
  }
}

async function running(state: string): Promise<Check[]> {
  try {
    const view = (await tellAgent(state, 'view')) as StationView | undefined
    return [
      {
        name: 'agent',
        ok: view ? true : null,
        found: view ? [view.state, view.why].filter(Boolean).join(': ') : 'not running',
      },
    ]
  } catch (error) {
    return [{ name: 'agent', ok: null, found: (error as Error).message }]
  }
}

async function key(state: string): Promise<Check[]> {
  const file = join(state, 'key')
  const name = 'key'
  try {
    const { address } = await accountIn(state)
    if (process.platform !== 'win32' && (await stat(file)).mode & 0o077)
      return [{ name, ok: false, found: `${file} can be read by others`, mend: `chmod 600 ${file}` }]
    return [{ name, ok: true, found: address }]
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      return [{ name, ok: null, found: 'none yet: the first run makes it' }]
    return [
      {
        name,
        ok: false,
        found: `${file} holds no key`,
        mend: 'put back your copy, or move it away to have a new one made',
      },
    ]
  }
}

async function accountIn(state: string) {
  const text = (await readFile(join(state, 'key'), 'utf8')).trim()
  return privateKeyToAccount(text as `0x${string}`)
}

async function disk(state: string): Promise<Check[]> {
  const { bavail, bsize } = await statfs(await nearest(state))
  const free = bavail * bsize
  const found = `${(free / 1024 ** 3).toFixed(1)} GiB free for ${state}`
  const name = 'disk'
  if (free >= LEAST_DISK_BYTES) return [{ name, ok: true, found }]
  return [{ name, ok: false, found, mend: 'make room: results wait on this disk until the edge has them' }]
}

/** The folder itself, or the first above it that is there. */
async function nearest(folder: string): Promise<string> {
  return stat(folder).then(
    () => folder,
    () => nearest(dirname(folder)),
  )
}

async function devices(): Promise<Check[]> {
  const found = await findDevices()
  const gib = (bytes: number) => `${(bytes / 1024 ** 3).toFixed(1)} GiB`
  const all = found.map(({ id, kind, name, memoryBytes, freeBytes, driver }) => ({
    name: kind === 'cpu' ? 'cpu' : 'gpu',
    ok: true,
    found: [
      name,
      freeBytes === undefined ? gib(memoryBytes) : `${gib(freeBytes)} free of ${gib(memoryBytes)}`,
      driver && `driver ${driver}`,
      kind !== 'cpu' && id,
    ]
      .filter(Boolean)
      .join(', '),
  }))
  if (all.some(({ name }) => name === 'gpu')) return all
  const mend = 'with a card in this machine, install its driver: nvidia-smi or rocm-smi must list it'
  return [...all, { name: 'gpu', ok: null, found: 'none found', mend }]
}

async function sandbox(): Promise<Check[]> {
  const name = 'sandbox'
  return proveSandbox(AbortSignal.timeout(LOOK_MS)).then(
    () => [{ name, ok: true, found: 'bubblewrap holds: wasi.run can be offered' }],
    (error) => {
      const { message, mend } = toRunnerError(error)
      return [{ name, ok: null, found: `wasi.run cannot be offered: ${message}`, ...(mend ? { mend } : {}) }]
    },
  )
}

async function models(urls: string[], named: string[]): Promise<Check[]> {
  const checks = await Promise.all(
    urls.map(async (url): Promise<Check[]> => {
      const isNamed = named.includes(url)
      const name = 'upstream'
      const models = await listModels(url, isNamed ? process.env.DAICN_UPSTREAM_KEY : undefined)
      if (models === undefined) {
        if (!isNamed) return []
        return [{ name, ok: false, found: `${url} does not answer`, mend: 'start the server, or correct --upstream' }]
      }
      if (models.length === 0)
        return [{ name, ok: false, found: `${url} has no models`, mend: 'load one, for example: ollama pull MODEL' }]
      return [{ name, ok: true, found: `${url}: ${models.map(({ id }) => id).join(', ')}` }]
    }),
  )
  const all = checks.flat()
  if (all.length > 0) return all
  return [
    {
      name: 'upstream',
      ok: null,
      found: 'none found',
      mend: 'start ollama, vLLM or llama-server, or name one by --upstream',
    },
  ]
}

async function edge(url: string, state: string): Promise<Check[]> {
  const began = performance.now()
  let response: Answer
  try {
    response = await call(`${url}/v1/health`, { signal: AbortSignal.timeout(LOOK_MS) })
    await response.json()
  } catch (error) {
    const cause = (error as NodeJS.ErrnoException).code ?? (error as Error).name
    return [
      {
        name: 'edge',
        ok: false,
        found: `${url} does not answer (${cause})`,
        mend: 'check the address, and that a firewall lets you out to it',
      },
    ]
  }
  if (!response.ok)
    return [
      {
        name: 'edge',
        ok: false,
        found: `${url} answers ${response.status}`,
        mend: 'check the address: this is no edge, or it is out of order',
      },
    ]
  const reached: Check = {
    name: 'edge',
    ok: true,
    found: `${url} answers in ${Math.round(performance.now() - began)} ms`,
  }
  return [reached, clock(response), ...(await account(url, state))]
}

function clock(response: Answer): Check {
  const name = 'clock'
  const date = Date.parse(response.header('date') ?? '')
  if (!Number.isFinite(date)) return { name, ok: null, found: 'the edge does not tell the time' }
  const skew = Date.now() - date
  const found = `${Math.abs(skew / 1000).toFixed(0)} s ${skew < 0 ? 'behind' : 'ahead of'} the edge`
  if (Math.abs(skew) <= SKEW_MS) return { name, ok: true, found }
  return { name, ok: false, found, mend: 'set the clock by the network, as with timedatectl set-ntp true' }
}

async function account(url: string, state: string): Promise<Check[]> {
  const signer = await accountIn(state).catch(() => undefined)
  if (!signer) return []
  const at = createEdge(url, signer, Date.now)
  const signal = AbortSignal.timeout(LOOK_MS)
  try {
    const { earned, free } = await at.account(signal)
    const checks: Check[] = [{ name: 'account', ok: true, found: `earned ${earned} tokens, ${free} free` }]
    const why = await at.why(signal)
    const state = why.active ? 'registered and there' : 'registered, and away'
    return [
      ...checks,
      { name: 'provider', ok: true, found: `${state}: ${why.offers.length} offers, ${why.leases} leases` },
    ]
  } catch (error) {
    if (error instanceof EdgeError && error.code === 'not_registered')
      return [{ name: 'provider', ok: null, found: 'not registered yet', mend: 'start the agent' }]
    return [
      { name: 'account', ok: false, found: (error as Error).message, mend: 'see the lines above; or try again later' },
    ]
  }
}
