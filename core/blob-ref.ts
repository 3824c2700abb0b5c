import * as z from 'zod'

export const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in lower-case hex')

/** In an input, in the place of content that was uploaded to /v1/blobs. */
export const BlobRef = z.strictObject({ sha256: Sha256 })

/** Whether an input stands for one that was uploaded: no kind of work has an input of that form. */
export const isReference = (input: Record<string, unknown>): input is { sha256: string } =>
  typeof input.sha256 === 'string' && Object.keys(input).length === 1
