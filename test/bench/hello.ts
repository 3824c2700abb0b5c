/** The yardstick: a bare Hono Worker on the same workerd, behind the same front, as a process of its own. */
import { fileURLToPath } from 'node:url'
import { type Program, startProgram } from '../../scripts/process.ts'
import { startRuntime } from '../../scripts/runtime.ts'
import { bundledWorker } from './bundle.ts'

export async function spawnHello(): Promise<{ url: URL; program: Program }> {
  const program = startProgram(fileURLToPath(import.meta.url), [])
  const url = await Promise.race([
    new Promise<URL>((resolve) => program.onLine((line) => resolve(new URL('/v1/hello', line)))),
    program.ended.then((code) => {
      throw new Error(`the hello Worker ended with code ${code}`)
    }),
  ])
  return { url, program }
}

if (import.meta.main) {
  const runtime = await startRuntime({ port: 0, workers: [bundledWorker('hello-worker.ts')] })
  console.log(runtime.url)
}
