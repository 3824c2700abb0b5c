/**
 * What an account keeps by its hash. A blob belongs to the account that uploaded it: the same content of two accounts is two
 * blobs. Each is kept until a time, which every use of it may move further and nothing but its owner's DELETE moves nearer.
 */
import { BlobRef, isReference } from './blob-ref.ts'
import { programBlobs } from './program.ts'
import { isProgram, type Kind } from './protocol/work.ts'

/** How long a blob is kept after it was uploaded or last used. */
export const BLOB_KEPT_MS = 24 * 3_600_000
/** What a blob counts at least, so that a great number of tiny ones is bounded too. */
export const BLOB_LEAST_BYTES = 16 * 1024

/** The blobs that an input refers to, each with the JSON pointer of its place in the input. */
export function blobsIn(kind: Kind, input: Record<string, unknown>): { sha256: string; pointer: string }[] {
  if (isReference(input)) return [{ sha256: input.sha256, pointer: '' }]
  if (isProgram(kind)) return programBlobs(input)
  if (kind !== 'doc.ocr') return []
  const image = BlobRef.safeParse(input.image)
  return image.success ? [{ sha256: image.data.sha256, pointer: '/image' }] : []
}
