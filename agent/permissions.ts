/**
 * What a runner's process may do, by Node's permission model: read its own code, its packages and their weights, and write
 * nothing. The agent's key and spool are out of its reach. This is no sandbox for hostile native code.
 */
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export type Grants = {
  /** Tesseract computes in a thread of its own. */
  threads?: boolean
  /** llama.cpp is native code, looks at the system's libraries to choose its build, and tries that in a process. */
  native?: boolean
}

const SYSTEM_LIBRARIES = ['/usr', '/lib', '/lib64', '/System', '/Library', 'C:\\Windows']

/** Node's arguments for the process that runs `module`. */
export function permissionArguments(module: URL, { threads, native }: Grants): string[] {
  const here = dirname(fileURLToPath(import.meta.url))
  const packages = dirname(dirname(createRequire(import.meta.url).resolve('zod')))
  const folders = [here, join(here, '..', 'core'), packages, dirname(fileURLToPath(module))]
  if (native) folders.push(...SYSTEM_LIBRARIES)
  return [
    '--permission',
    '--disable-warning=SecurityWarning',
    ...folders.map((folder) => `--allow-fs-read=${join(folder, '*')}`),
    `--allow-fs-read=${join(here, '..', 'package.json')}`,
    ...(threads ? ['--allow-worker'] : []),
    ...(native ? ['--allow-addons', '--allow-child-process'] : []),
  ]
}
