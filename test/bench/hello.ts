/** The yardstick: a bare Hono Worker on the same workerd, behind the same front, as a process of its own. */
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import { type Program, startProgram } from '../../scripts/process.ts'
import { startRuntime } from '../../scripts/runtime.ts'

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
  const entry = fileURLToPath(new URL('hello-worker.ts', import.meta.url))
  const { outputFiles } = buildSync({ entryPoints: [entry], bundle: true, format: 'esm', write: false })
  const contents = outputFiles[0]!.text
  const runtime = await startRuntime({
    port: 0,
    workers: [
      { name: 'hello', compatibilityDate: '2026-10-01', modules: [{ type: 'ESModule', path: 'hello.js', contents }] },
    ],
  })
  console.log(runtime.url)
}
