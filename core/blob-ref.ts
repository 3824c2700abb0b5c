import * as z from 'zod'

export const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in lower-case hex')

/** In an input, in the place of content that was uploaded to /v1/blobs. */
export const BlobRef = z.strictObject({ sha256: Sha256 })
