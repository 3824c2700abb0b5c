/**
 * Checks the types of each part by its own tsconfig. By the native compiler: the package with TypeScript's API, which others here need,
 * has a program of the same name. One thread a part, for several repeat each other's work.
 */
import { spawn } from 'node:child_process'
import { inRoot, ROOT } from './paths.ts'

const PARTS = ['core', 'simulator', 'worker', 'agent', 'client', 'scripts', 'test', 'test/worker']
const COMPILER = inRoot('node_modules/typescript-go/bin/tsc')

for (const part of PARTS) {
  const child = spawn(process.execPath, [COMPILER, '--singleThreaded', '-p', part], { cwd: ROOT, stdio: 'inherit' })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  if (code !== 0) process.exitCode = 1
}
