/** Builds what the edge serves, only when a source has changed since. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inRoot, ROOT } from './paths.ts'

type Target = {
  name: 'web' | 'worker' | 'client' | 'contracts' | 'agent'
  /** Files and folders whose change makes the output stale. */
  sources: string[]
  output: string
  build(): Promise<void>
}

const WEB: Target = {
  name: 'web',
  sources: ['web', 'core', 'client', 'docs', 'package-lock.json'],
  output: 'web/build',
  build: () => run('node_modules/vite/bin/vite.js', ['build'], inRoot('web')),
}

const WORKER: Target = {
  name: 'worker',
  sources: ['worker', 'core', 'contracts', 'drizzle/schema.ts', 'wrangler.toml', 'package-lock.json'],
  output: 'dist/worker/options.json',
  async build() {
    // Wrangler wants the folder of assets to be there, whatever is in it.
    await mkdir(inRoot('web/build'), { recursive: true })
    await run('node_modules/wrangler/bin/wrangler.js', ['deploy', '--dry-run', '--outdir', 'dist/worker'], ROOT)
    const { unstable_getMiniflareWorkerOptions: workerOptions } = await import('wrangler')
    const options = workerOptions(inRoot('wrangler.toml')).workerOptions
    await writeFile(inRoot(WORKER.output), JSON.stringify({ ...options, rootPath: undefined }, null, 2))
  },
}

const CONTRACTS: Target = {
  name: 'contracts',
  sources: ['contracts/src', 'foundry.toml', 'package-lock.json'],
  output: 'contracts/out',
  build: () => run('scripts/forge.ts', ['build', 'contracts/src'], ROOT),
}

const CLIENT: Target = {
  name: 'client',
  sources: ['client', 'core', 'contracts/abi.ts', 'package-lock.json'],
  output: 'dist/client/daicn.js',
  async build() {
    const { build } = await import('esbuild')
    await rm(inRoot('dist/client'), { recursive: true, force: true })
    // Neutral: whatever only one of Node, browsers and Workers has cannot get in.
    await build({
      absWorkingDir: ROOT,
      entryPoints: ['client/daicn.ts', 'client/chain/index.ts'],
      outdir: 'dist/client',
      bundle: true,
      // What few need, as to verify receipts, is in a file of its own.
      splitting: true,
      format: 'esm',
      platform: 'neutral',
      // viem has parts for Node alone, which are not used, but would be looked for.
      conditions: ['browser'],
      mainFields: ['module', 'main'],
      target: 'es2022',
      sourcemap: true,
    })
  },
}

/** Beside the dashboard, where the edge serves it from; so after it, which empties its folder. */
const AGENT: Target = {
  name: 'agent',
  sources: ['agent', 'core', 'package-lock.json'],
  output: 'web/build/agent.mjs',
  async build() {
    const { build } = await import('esbuild')
    await build({
      absWorkingDir: ROOT,
      entryPoints: ['agent/main.ts'],
      outfile: AGENT.output,
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      // What reads the machine's libraries or brings its own weights comes with the package, not with the file.
      external: ['node-llama-cpp', 'tesseract.js', '@energetic-ai/*'],
      // Among the packages are some in the older form of modules.
      banner: {
        js: "import { createRequire as requireOf } from 'node:module'\nconst require = requireOf(import.meta.url)",
      },
      legalComments: 'inline',
    })
    const hash = createHash('sha256')
      .update(await readFile(inRoot(AGENT.output)))
      .digest('hex')
    await writeFile(inRoot(`${AGENT.output}.sha256`), `${hash}  agent.mjs\n`)
  },
}

/** Builds the dashboard if it is stale. @returns whether it was */
export const buildWeb = (): Promise<boolean> => buildStale(WEB)

/** Bundles the Worker as it would be deployed, with its bindings beside it, if it is stale. @returns whether it was */
export const buildWorker = (): Promise<boolean> => buildStale(WORKER)

/** Bundles the provider's program to one file for Node 20, with its hash beside it, if it is stale. @returns whether it was */
export const buildAgent = (): Promise<boolean> => buildStale(AGENT)

/** Compiles the contracts if they are stale. @returns whether they were */
export const buildContracts = (): Promise<boolean> => buildStale(CONTRACTS)

/** Bundles the SDK for Node 20, browsers and Workers, if it is stale. @returns whether it was */
export const buildClient = (): Promise<boolean> => buildStale(CLIENT)

async function buildStale(target: Target): Promise<boolean> {
  await mkdir(inRoot('dist'), { recursive: true })
  const unlock = await lock(inRoot('dist', `.${target.name}-lock`))
  try {
    const stamp = inRoot('dist', `.${target.name}-stamp`)
    const now = await fingerprint(target.sources)
    const last = existsSync(inRoot(target.output)) && existsSync(stamp) ? await readFile(stamp, 'utf8') : ''
    if (now === last) return false
    await target.build()
    await writeFile(stamp, now)
    return true
  } finally {
    await unlock()
  }
}

const GENERATED = new Set(['build', 'node_modules', '.svelte-kit', 'dist', 'out', 'cache'])

async function fingerprint(sources: string[]): Promise<string> {
  const hash = createHash('sha256')
  const visit = async (path: string): Promise<void> => {
    const info = await stat(inRoot(path)).catch(() => undefined)
    if (!info) return
    if (!info.isDirectory()) return void hash.update(`${path} ${info.size} ${info.mtimeMs}\n`)
    for (const name of (await readdir(inRoot(path))).sort()) {
      if (!GENERATED.has(name)) await visit(join(path, name))
    }
  }
  for (const source of sources) await visit(source)
  return hash.digest('hex')
}

/** Waits until no other process builds the same; a lock older than five minutes was left behind. */
async function lock(path: string): Promise<() => Promise<void>> {
  for (;;) {
    try {
      await mkdir(path)
      return () => rm(path, { recursive: true, force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      const held = await stat(path).catch(() => undefined)
      if (held && Date.now() - held.mtimeMs > 300_000) await rm(path, { recursive: true, force: true })
      else await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}

function run(script: string, args: string[], cwd: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [inRoot(script), ...args], {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        CI: '1',
        FORCE_COLOR: '0',
        NODE_NO_WARNINGS: '1',
        WRANGLER_SEND_METRICS: 'false',
        WRANGLER_LOG_PATH: inRoot('dist'),
      },
    })
    let output = ''
    const keep = (chunk: Buffer) => {
      output = (output + chunk).slice(-8000)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.once('error', reject)
    child.once('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`${script} ${args.join(' ')} failed:\n${output.trim()}`)),
    )
  })
}

if (import.meta.main) {
  const tell = (name: string, built: boolean) => console.log(`${name.padEnd(10)} ${built ? 'built' : 'up to date'}`)
  tell('dashboard', await buildWeb())
  tell('worker', await buildWorker())
  tell('client', await buildClient())
  tell('agent', await buildAgent())
}
