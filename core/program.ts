/**
 * Programs, with arguments and files in and files out. wasi.run: any that is compiled to WASI (preview 1), named by its hash.
 * container.run and gpu.exec: of an image, which is the task's model and pinned by the model's digest.
 */
import * as z from 'zod'
import { BlobRef } from './blob-ref.ts'
import { CONTAINER_LIMITS, type ProgramLimits, WASI_LIMITS } from './program-limits.ts'

/** No path: files stand in one folder, whatever anybody calls them. */
const FileName = z
  .string()
  .regex(/^[A-Za-z0-9][\w.-]{0,99}$/, 'must be the name of a file: letters, digits, ".", "_" and "-"')
const Content = z.union([z.base64(), BlobRef]).describe('Base64, or a reference to an uploaded blob.')
const Argument = z
  .string()
  .max(4096)
  .refine((text) => !text.includes('\0'), 'must not hold a zero byte')

const fields = ({ files, seconds, defaultSeconds }: ProgramLimits) => ({
  args: z.array(Argument).max(64).optional().describe('What follows the name of the program.'),
  stdin: Content.optional(),
  files: z
    .record(FileName, Content)
    .refine((given) => Object.keys(given).length <= files, `must be at most ${files} files`)
    .optional()
    .describe('In the folder that the program starts in, the only one it may write to.'),
  outputs: z.array(FileName).max(files).optional().describe('Files of that folder to bring back.'),
  seconds: z
    .int()
    .min(1)
    .max(seconds)
    .optional()
    .describe(`How long it may run, ${defaultSeconds} when left out. Each is paid, used or not.`),
})

export const WasiInput = z.strictObject({
  module: BlobRef.describe('The program, uploaded to /v1/blobs.'),
  ...fields(WASI_LIMITS),
})

const containerInput = (limits: ProgramLimits) => {
  const { args, ...rest } = fields(limits)
  return z.strictObject({ args: args.describe('What follows the image’s entry point, in place of its own.'), ...rest })
}
export const ContainerInput = containerInput(CONTAINER_LIMITS['container.run'])
export const GpuInput = containerInput(CONTAINER_LIMITS['gpu.exec'])

export const ProgramOutput = z.strictObject({
  exitCode: z.int().describe('Of the program; 124 when its time was over, 134 when it broke off.'),
  stdout: z.base64(),
  stderr: z.base64(),
  files: z.record(FileName, z.base64()).describe('Those of `outputs` that it left behind.'),
})

type Places = { sha256: string; pointer: string }[]

/** The blobs that an input refers to, each with the JSON pointer of its place. */
export function programBlobs(input: Record<string, unknown>): Places {
  const files = Object.entries((input.files ?? {}) as Record<string, unknown>)
  const places: [string, unknown][] = [
    ['/module', input.module],
    ['/stdin', input.stdin],
    ...files.map(([name, content]): [string, unknown] => [`/files/${name}`, content]),
  ]
  return places.flatMap(([pointer, content]) => {
    const ref = BlobRef.safeParse(content)
    return ref.success ? [{ sha256: ref.data.sha256, pointer }] : []
  })
}
