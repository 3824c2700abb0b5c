/** Yardsticks: bare Hono Workers on the same workerd, behind the same front, each as a process of its own. */
import { fileURLToPath } from 'node:url'
import { type Program, startProgram } from '../../scripts/process.ts'
import { startRuntime } from '../../scripts/runtime.ts'
import { bundledWorker } from './bundle.ts'

/** @param entry a file of this folder @param upstream what the Worker knows as UPSTREAM */
export async function spawnBareWorker(entry: string, upstream = ''): Promise<{ url: string; program: Program }> {
  const program = startProgram(fileURLToPath(import.meta.url), [entry, upstream])
  const url = await Promise.race([
    new Promise<string>((resolve) => program.onLine(resolve)),
    program.ended.then((code) => {
      throw new Error(`the Worker of ${entry} ended with code ${code}`)
    }),
  ])
  return { url, program }
}

if (import.meta.main) {
  const [entry, UPSTREAM] = process.argv.slice(2) as [string, string]
  const runtime = await startRuntime({ port: 0, workers: [{ ...bundledWorker(entry), bindings: { UPSTREAM } }] })
  console.log(runtime.url)
}
