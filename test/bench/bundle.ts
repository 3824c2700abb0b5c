/** A Worker of this folder, made one file as its deployment would, for a runtime. */
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import type { RuntimeOptions } from '../../scripts/runtime.ts'

/** @param file beside this one, with the Worker as its default export */
export function bundledWorker(file: string): RuntimeOptions['workers'][0] {
  const entry = fileURLToPath(new URL(file, import.meta.url))
  const { outputFiles } = buildSync({ entryPoints: [entry], bundle: true, format: 'esm', write: false })
  const contents = outputFiles[0]!.text
  return {
    name: 'bench',
    compatibilityDate: '2026-10-01',
    modules: [{ type: 'ESModule', path: 'worker.js', contents }],
  }
}
