/**
 * container.run, and gpu.exec with a card: a program of an image that the owner allows, in a container. Node stands in it beside the
 * image, puts the files into the program's folder, starts it, and brings back what it left; none of that touches this machine's disk.
 */
import { CONTAINER_LIMITS } from '#core/program-limits.ts'
import type { ContainerKind } from '#core/protocol/work.ts'
import { findImage, type Image, proveContainer, runContained } from '../container.ts'
import { PROCESSOR } from '../devices/device.ts'
import { LEAVE, programOutputOf } from '../program-output.ts'
import type { Runner, RunnerInput } from '../runner.ts'
import type { AllowedImage } from '../settings.ts'

/** Runs in the container, as its first process: with it, all others end. */
const HOST = `
import { spawn } from 'node:child_process'
import { lstatSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { constants } from 'node:os'
const given = readFileSync(0)
const head = given.indexOf(10)
const { command, sizes, names, outputs, most, seconds } = JSON.parse(given.subarray(0, head))
${LEAVE}
for (const folder of ['own', 'folder', 'tmp']) mkdirSync('/work/' + folder)
let at = head + 1
for (const [i, size] of sizes.entries())
  writeFileSync(i === 0 ? '/work/own/stdin' : '/work/folder/' + names[i - 1], given.subarray(at, (at += size)))
const env = { ...process.env, HOME: '/work/folder', TMPDIR: '/work/tmp' }
const stdio = [openSync('/work/own/stdin'), openSync('/work/own/stdout', 'w'), openSync('/work/own/stderr', 'w')]
writeSync(1, '\\n')
setTimeout(() => process.exit(1), 2000 * seconds)
spawn(command[0], command.slice(1), { cwd: '/work/folder', env, stdio })
  .on('error', (error) => end({ invalid: error.message }))
  .on('exit', (code, signal) => leave(code ?? 128 + constants.signals[signal]))
`

/** Takes one of what there is so many of, in order of asking. */
export type Places<T> = <R>(work: (place: T) => Promise<R>) => Promise<R>

export function createPlaces<T>(all: T[]): Places<T> {
  const free = [...all]
  const waiting: ((place: T) => void)[] = []
  return async (work) => {
    const place = free.length > 0 ? free.shift()! : await new Promise<T>((resolve) => waiting.push(resolve))
    try {
      return await work(place)
    } finally {
      const next = waiting.shift()
      if (next) next(place)
      else free.push(place)
    }
  }
}

/** @param places shared by all images: each a card's uuid for gpu.exec, undefined otherwise */
export function createContainerRunner(
  kind: ContainerKind,
  { name, digest }: AllowedImage,
  places: Places<string | undefined>,
  concurrency: number,
): Runner {
  const { cores, folderBytes, memoryBytes, outputBytes } = CONTAINER_LIMITS[kind]
  // Beside the program's files there is room for what comes back; that is read as base64.
  const bounds = { folderBytes: folderBytes + outputBytes, memoryBytes, outputBytes: 2 * outputBytes }
  let image: Image | undefined

  return {
    kind,
    model: name,
    concurrency,
    places,
    async load() {
      image = await findImage(`${name}@${digest}`)
    },
    async run(input, { signal }) {
      const { seconds, ...given } = input as RunnerInput<ContainerKind>
      const parts = partsOf(image!, given, seconds, outputBytes)
      return places(async (gpu) => {
        signal.throwIfAborted()
        const end = await runContained({
          ...bounds,
          image: image!,
          code: HOST,
          input: parts,
          cores,
          gpu,
          seconds,
          signal,
        })
        const output = programOutputOf(end, outputBytes)
        return { output, usage: { inputTokens: 0, outputTokens: 0 }, devices: [gpu ?? PROCESSOR] }
      })
    },
    /** The image's own program may do anything, so a container is started and proved, and its start is the speed. */
    async probe(signal) {
      const began = performance.now()
      await places((gpu) => proveContainer(image!, { ...bounds, seconds: 10, signal }, cores, gpu))
      return { speed: 1000 / Math.max(performance.now() - began, 1), digest }
    },
    close: async () => {},
  }
}

/** What HOST reads: a line of JSON, then the bytes of standard input and of each file. */
function partsOf(
  { entrypoint, command }: Image,
  { args, stdin, files, outputs }: Omit<RunnerInput<ContainerKind>, 'seconds'>,
  seconds: number,
  most: number,
): Uint8Array[] {
  const parts = [stdin, ...Object.values(files)]
  const plan = {
    command: [...entrypoint, ...(args.length > 0 ? args : command)],
    names: Object.keys(files),
    sizes: parts.map(({ byteLength }) => byteLength),
    outputs,
    most,
    seconds,
  }
  return [Buffer.from(`${JSON.stringify(plan)}\n`), ...parts]
}
