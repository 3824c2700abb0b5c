/**
 * The edge on this machine: the production bundle on workerd, its state in a folder.
 * As a program: `node scripts/edge.ts --port P --state DIR [--no-build]` prints one line of JSON when it is ready.
 * Settings of a chain (DEPLOYMENT, RPC_URL, ...), OPERATOR_TOKEN, CALLS_PER_MINUTE, CELLS and those of canaries are taken from the environment, and DEV=false.
 */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { V4WorkerOptions } from 'miniflare'
import { buildWorker } from './build.ts'
import { checkPort, checkState, checkUnclaimed, claim, Fault, parsePort, unclaim } from './checks.ts'
import { migrate } from './migrate.ts'
import { DEFAULT_STATE, inRoot } from './paths.ts'
import { type Runtime, startRuntime } from './runtime.ts'

export type EdgeOptions = {
  /** 0 takes a free one. */
  port: number
  /** Folder of the state; made if missing. */
  state: string
  /** A development network: the faucet is open. */
  dev?: boolean
  /** Settings of the chain, by their names in wrangler.toml. */
  chain?: Record<string, string>
  /** Others, likewise. */
  settings?: Record<string, string>
  log?: (line: string) => void
}

export type Edge = {
  url: string
  workerd(): number | undefined
  /** Runs the Worker's scheduled handler, as the platform does by the clock. */
  scheduled(cron: string): Promise<void>
  stop(): Promise<void>
}

export async function startEdge(options: EdgeOptions): Promise<Edge> {
  const built = JSON.parse(await readFile(inRoot('dist/worker/options.json'), 'utf8')) as V4WorkerOptions
  await mkdir(options.state, { recursive: true })
  const bindings = {
    ...built.bindings,
    EDGE_SECRET: await secret(join(options.state, 'edge-secret')),
    DEV: String(options.dev ?? true),
    ...options.settings,
    ...options.chain,
  }
  const { assets, ...worker } = { ...built, bindings }
  const runtime = await startRuntime({
    port: options.port,
    persist: join(options.state, 'edge'),
    ...(options.log && { log: options.log }),
    workers: [
      { ...worker, name: NAME, modules: await modules(), modulesRoot: BUNDLE, serviceBindings: { ASSETS: 'assets' } },
      await assetsWorker(assets!, worker.compatibilityDate!),
    ],
  })
  await migrate(await runtime.miniflare.getD1Database('DB', NAME), inRoot('drizzle/migrations'))
  const scheduled = schedule(runtime)
  const run = (cron: string) => {
    void scheduled(cron).catch((error) => options.log?.(`error: scheduled ${cron}: ${error}`))
  }
  const stopClock = everyMinute(() => built.cronTriggers?.forEach(run))
  const chainClock = options.chain && setInterval(() => run('chain'), CHAIN_MS)
  return {
    url: runtime.url,
    workerd: runtime.workerd,
    scheduled,
    async stop() {
      stopClock()
      clearInterval(chainClock)
      await runtime.stop()
    },
  }
}

const CHAIN_VARIABLES = [
  'CHAIN_ID',
  'DEPLOYMENT',
  'CONFIRMATIONS',
  'PUBLIC_RPC_URL',
  'RPC_URL',
  'FAUCET_KEY',
  'POSTER_KEY',
]

const OWN_VARIABLES = ['OPERATOR_TOKEN', 'CALLS_PER_MINUTE', 'CELLS', 'CANARY_KEYS', 'CANARY_SHARE']

/** The settings of the chain that are in the environment. */
function chainVariables(environment: NodeJS.ProcessEnv): Record<string, string> | undefined {
  if (!environment.DEPLOYMENT) return undefined
  return variables(CHAIN_VARIABLES, environment)
}

const variables = (names: string[], environment: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(names.flatMap((name) => (environment[name] ? [[name, environment[name]]] : [])))

/** A chain on this machine is looked at this often. */
const CHAIN_MS = 1_000

const NAME = 'daicn'
const BUNDLE = inRoot('dist/worker')

/**
 * The bundle behind the routing that the platform does in front of it (`run_worker_first` in wrangler.toml).
 * Miniflare's own router for it costs five sixths of the requests a second; see runtime.ts.
 */
const FRONT = `
import worker from './index.js'
export * from './index.js'
export default {
  ...worker,
  fetch(request, env, context) {
    const { url } = request
    return url.startsWith('/v1/', url.indexOf('/', 8)) ? worker.fetch(request, env, context) : env.ASSETS.fetch(request)
  },
}`

async function modules() {
  return [
    { type: 'ESModule' as const, path: join(BUNDLE, 'front.js'), contents: FRONT },
    { type: 'ESModule' as const, path: join(BUNDLE, 'index.js'), contents: await readFile(join(BUNDLE, 'index.js')) },
  ]
}

async function assetsWorker(
  assets: NonNullable<V4WorkerOptions['assets']>,
  compatibilityDate: string,
): Promise<V4WorkerOptions> {
  const contents = 'export default { fetch: (request, env) => env.ASSETS.fetch(request) }'
  return {
    name: 'assets',
    compatibilityDate,
    modules: [{ type: 'ESModule', path: 'assets.js', contents }],
    assets: {
      directory: inRoot('web/build'),
      binding: 'ASSETS',
      assetConfig: { ...assets.assetConfig, headers: { version: 2, rules: { '/*': { set: await siteHeaders() } } } },
      routerConfig: { has_user_worker: false },
    },
  }
}

/** What `_headers` adds to every file of the site, which the platform reads when it is deployed. */
async function siteHeaders(): Promise<Record<string, string>> {
  const lines = (await readFile(inRoot('web/static/_headers'), 'utf8')).split('\n')
  return Object.fromEntries(
    lines.flatMap((line) => [...line.matchAll(/^ +([\w-]+): (.*)$/g)].map(([, name, value]) => [name, value])),
  )
}

/** Made once: session tokens and the edge's signatures must outlive a restart. */
async function secret(path: string): Promise<string> {
  if (!existsSync(path)) await writeFile(path, randomBytes(32).toString('hex'), { mode: 0o600, flag: 'wx' })
  return (await readFile(path, 'utf8')).trim()
}

const schedule = (runtime: Runtime) => async (cron: string) => {
  const worker = await runtime.miniflare.getWorker(NAME)
  await worker.scheduled({ cron, scheduledTime: new Date() })
}

/** Miniflare fires no cron by itself. */
function everyMinute(run: () => void): () => void {
  const again = () => {
    run()
    timer = setTimeout(again, 60_000 - (Date.now() % 60_000))
  }
  let timer = setTimeout(again, 60_000 - (Date.now() % 60_000))
  return () => clearTimeout(timer)
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '0' },
      state: { type: 'string', default: DEFAULT_STATE },
      'no-build': { type: 'boolean', default: false },
    },
  })
  const state = resolve(values.state)
  try {
    const port = parsePort(values.port)
    await checkState(state)
    await checkUnclaimed(state)
    await checkPort(port)
    if (!values['no-build']) await buildWorker()
    const log = (line: string) => void process.stderr.write(`${new Date().toISOString()} ${line}\n`)
    const chain = chainVariables(process.env)
    const settings = variables(OWN_VARIABLES, process.env)
    const dev = process.env.DEV !== 'false'
    const edge = await startEdge({ port, state, dev, settings, log, ...(chain && { chain }) })
    await claim(state, { pid: process.pid, url: edge.url })
    // Miniflare's own handlers would end the process before ours has.
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.removeAllListeners(signal)
      process.once(
        signal,
        () =>
          void edge
            .stop()
            .then(() => unclaim(state))
            .finally(() => process.exit(0)),
      )
    }
    console.log(JSON.stringify({ ready: true, url: edge.url, pid: process.pid, workerd: edge.workerd() }))
  } catch (error) {
    console.error(error instanceof Fault ? `${error.message} ${error.mend}` : error)
    process.exit(1)
  }
}
