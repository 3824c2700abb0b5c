/** wasi.run: any program compiled to WASI (preview 1), named by its hash, with arguments and files in and files out. */
import * as z from 'zod'
import { BlobRef } from './blob-ref.ts'
import { WASI_LIMITS } from './wasi-limits.ts'

/** No path: files stand in one folder, whatever anybody calls them. */
const FileName = z
  .string()
  .regex(/^[A-Za-z0-9][\w.-]{0,99}$/, 'must be the name of a file: letters, digits, ".", "_" and "-"')
const Content = z.union([z.base64(), BlobRef]).describe('Base64, or a reference to an uploaded blob.')
const Argument = z
  .string()
  .max(4096)
  .refine((text) => !text.includes('\0'), 'must not hold a zero byte')

export const WasiInput = z.strictObject({
  module: BlobRef.describe('The program, uploaded to /v1/blobs.'),
  args: z.array(Argument).max(64).optional().describe('What follows the name of the program.'),
  stdin: Content.optional(),
  files: z
    .record(FileName, Content)
    .refine((files) => Object.keys(files).length <= WASI_LIMITS.files, `must be at most ${WASI_LIMITS.files} files`)
    .optional()
    .describe('In the folder that the program starts in, the only one it sees.'),
  outputs: z.array(FileName).max(WASI_LIMITS.files).optional().describe('Files of that folder to bring back.'),
  seconds: z
    .int()
    .min(1)
    .max(WASI_LIMITS.seconds)
    .optional()
    .describe(`How long it may run, ${WASI_LIMITS.defaultSeconds} when left out. Each is paid, used or not.`),
})

export const WasiOutput = z.strictObject({
  exitCode: z.int().describe('Of the program; 124 when its time was over, 134 when it broke off.'),
  stdout: z.base64(),
  stderr: z.base64(),
  files: z.record(FileName, z.base64()).describe('Those of `outputs` that it left behind.'),
})

type Places = { sha256: string; pointer: string }[]

/** The blobs that an input refers to, each with the JSON pointer of its place. */
export function wasiBlobs(input: Record<string, unknown>): Places {
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
