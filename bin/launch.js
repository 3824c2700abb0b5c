/** Runs a TypeScript program of this repository by a Node that can: this one, or the one that `npm ci` brings along. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import module from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where compiled code is kept, so that the next start takes a third of the work; our own, for what lies there is run. */
const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'daicn')

/** @param {string} program path from the root of the repository */
export async function launch(program) {
  const script = fileURLToPath(new URL(`../${program}`, import.meta.url))
  if (process.features.typescript) {
    process.argv[1] = script
    module.enableCompileCache?.(CACHE)
    await import(script)
    return
  }
  const node = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url))
  if (!existsSync(node)) {
    console.error(`Node ${process.versions.node} cannot run this. Run \`npm ci\` in the repository, or use Node 24.`)
    process.exit(1)
  }
  const env = { NODE_COMPILE_CACHE: CACHE, ...process.env }
  const child = spawn(node, [script, ...process.argv.slice(2)], { stdio: 'inherit', env })
  // A terminal sends Ctrl-C to both; it is the program that decides what comes of it.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => process.exit(signal ? 1 : code))
}
