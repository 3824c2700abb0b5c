/** Blobs: content that an account uploads once and then names by its hash. */
import * as z from 'zod'
import { Sha256 } from '../blob-ref.ts'
import { Count } from './values.ts'

export const BlobView = z
  .object({
    sha256: Sha256,
    bytes: Count,
    contentType: z.string(),
    keptUntil: z
      .int()
      .describe('Unix milliseconds until which it is kept; a task that refers to it moves this past its deadline.'),
  })
  .meta({ id: 'BlobView' })
export type BlobView = z.output<typeof BlobView>

export const BlobPath = z.object({ sha256: Sha256 })
