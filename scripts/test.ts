/**
 * Every check and test there is. The contracts have a lane of their own: their compiler and their fuzzer each keep one core
 * busy for long, beside checks and tests that wait more than they work. What that lane prints is shown when a script has ended.
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { ROOT } from './paths.ts'

const failed =
  (await firstFailure(['check:types', 'check:lint', 'check:web'], ['check:contracts', 'build:contracts'])) ??
  (await firstFailure(['test:vitest'], ['test:contracts']))
if (failed) {
  console.error(`npm run ${failed} failed.`)
  process.exitCode = 1
}

/** Runs npm scripts one after the other in two lanes, and waits for both. @returns a script that failed */
async function firstFailure(aloud: string[], quiet: string[]): Promise<string | undefined> {
  const ends = await Promise.all([runAll(aloud, true), runAll(quiet, false)])
  return ends.find((name) => name !== undefined)
}

async function runAll(scripts: string[], aloud: boolean): Promise<string | undefined> {
  for (const script of scripts) if ((await run(script, aloud)) !== 0) return script
  return undefined
}

async function run(script: string, aloud: boolean): Promise<number | null> {
  const stdio: StdioOptions = aloud ? 'inherit' : ['ignore', 'pipe', 'pipe']
  const child: ChildProcess = spawn('npm', ['run', '-s', script], { cwd: ROOT, stdio })
  const printed: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => printed.push(chunk))
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  process.stdout.write(Buffer.concat(printed))
  return code
}
