/**
 * wasi.run: a program of somebody else, in the sandbox. Node's own WASI is no protection, so it stands within: what gets out of the
 * program's memory is still a process that has nothing. What the program does wrong is its output; only what we cannot do is a failure.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { WASI_LIMITS } from '#core/program-limits.ts'
import { PROCESSOR } from '../devices/device.ts'
import { measure } from '../measure.ts'
import { BROKE_OFF, LEAVE, type ProgramOutput, programOutputOf } from '../program-output.ts'
import { type Runner, RunnerError, type RunnerInput } from '../runner.ts'
import { proveSandbox, runSandboxed } from '../sandbox.ts'

export const kind = 'wasi.run'
export const model = 'wasi-preview1'

type Input = RunnerInput<typeof kind>

/** Files and folders that a program may make: what a folder's bytes do not bound. */
const MADE = 4096
const { folderBytes, memoryBytes, outputBytes } = WASI_LIMITS

/**
 * Runs in the sandbox: /in has the plan, the program and its files. It copies the files to the program's folder, lets it run there,
 * and writes what came of it as JSON. Links are refused, and so is whatever goes beyond the bounds.
 */
const HOST = `
import { closeSync, copyFileSync, lstatSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { WASI } from 'node:wasi'
const { args, outputs, made, most } = JSON.parse(readFileSync('/in/plan.json', 'utf8'))
const [NO_SPACE, NOT_CAPABLE, CREATE] = [51, 76, 1]
${LEAVE}
mkdirSync('/work/own')
mkdirSync('/work/folder')
for (const name of readdirSync('/in/files')) copyFileSync('/in/files/' + name, '/work/folder/' + name)
const stdin = openSync('/in/stdin')
const stdout = openSync('/work/own/stdout', 'w')
const stderr = openSync('/work/own/stderr', 'w')
let compiled, instance
try {
  compiled = new WebAssembly.Module(readFileSync('/in/module.wasm'))
} catch (error) {
  end({ invalid: error.message })
}
const wasi = new WASI({
  version: 'preview1', args: ['module', ...args], env: {}, preopens: { '/': '/work/folder' },
  stdin, stdout, stderr, returnOnExit: true,
})
const calls = { ...wasi.wasiImport }
let left = made
const making = (name, makes) => {
  const call = calls[name]
  calls[name] = (...given) => (makes(given) && left-- <= 0 ? NO_SPACE : call(...given))
}
making('path_open', (given) => (given[4] & CREATE) !== 0)
making('path_create_directory', () => true)
calls.path_link = calls.path_symlink = () => NOT_CAPABLE
try {
  instance = new WebAssembly.Instance(compiled, { wasi_snapshot_preview1: calls })
} catch (error) {
  end({ invalid: error.message })
}
if (typeof instance.exports._start !== 'function') end({ invalid: 'it exports no _start' })
if (!(instance.exports.memory instanceof WebAssembly.Memory)) end({ invalid: 'it exports no memory' })
writeSync(1, '\\n')
let exitCode
try {
  exitCode = wasi.start(instance)
} catch (error) {
  exitCode = ${BROKE_OFF}
  try { writeSync(stderr, error.message + '\\n') } catch {}
}
leave(exitCode)
`

/** A program that writes "ok" and a line's end: what there is to write, at the start of its memory, and one call of fd_write. */
const PROBE_MODULE = Buffer.from(
  'AGFzbQEAAAABDAJgBH9/f38Bf2AAAAIjARZ3YXNpX3NuYXBzaG90X3ByZXZpZXcxCGZkX3dyaXRlAAADAgEBBQMBAAEHEwIGbWVtb3J5AgAGX3N0YXJ0AAEKDwENAEEBQQBBAUEQEAAaCwsRAQBBAAsLCAAAAAMAAABvawo=',
  'base64',
)
const PROBE: Input = { module: PROBE_MODULE, args: [], stdin: Buffer.of(), files: {}, outputs: [], seconds: 1 }

export function createWasiRunner(): Runner {
  const run: Runner['run'] = async (input, { signal }) => {
    const folder = await mkdtemp(join(tmpdir(), 'daicn-wasi-'))
    try {
      const output = await work(input as Input, folder, signal)
      return { output, usage: { inputTokens: 0, outputTokens: 0 }, devices: [PROCESSOR] }
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }

  return {
    kind,
    model,
    // A program has a core, and another is left for the rest.
    concurrency: Math.max(availableParallelism() - 1, 1),
    load: (signal) => proveSandbox(signal),
    run,
    async probe(signal) {
      const { speed, output } = await measure(run, kind, PROBE, signal)
      if (output.stdout !== Buffer.from('ok\n').toString('base64'))
        throw new RunnerError('wrong_answer', `the test program wrote ${JSON.stringify(output)}`)
      return { speed }
    },
    close: async () => {},
  }
}

async function work(
  { module, args, stdin, files, outputs, seconds }: Input,
  folder: string,
  signal: AbortSignal,
): Promise<ProgramOutput> {
  await mkdir(join(folder, 'files'))
  await Promise.all([
    writeFile(join(folder, 'plan.json'), JSON.stringify({ args, outputs, made: MADE, most: outputBytes })),
    writeFile(join(folder, 'module.wasm'), module),
    writeFile(join(folder, 'stdin'), stdin),
    ...Object.entries(files).map(([name, bytes]) => writeFile(join(folder, 'files', name), bytes)),
  ])
  const end = await runSandboxed({
    code: HOST,
    reads: { '/in': folder },
    folderBytes: folderBytes + outputBytes,
    memoryBytes,
    // As base64, and what stands around it.
    outputBytes: 2 * outputBytes,
    seconds,
    signal,
  })
  return programOutputOf(end, outputBytes)
}
