/** The content of blobs, in R2. Whose they are and how long they are kept is for their account to say. */
import type { Address } from '#core/protocol/values.ts'

/** R2's code for content that has not the checksum it was given; it stands in brackets at the end of the message. */
const BAD_DIGEST = '(10037)'

export type Blobs = ReturnType<typeof openBlobs>

export function openBlobs(bucket: R2Bucket) {
  const key = (owner: Address, sha256: string) => `${owner}/${sha256}`
  return {
    /** Keeps content; nothing is kept unless all of it came and has this hash. @returns whether it has */
    async put(
      owner: Address,
      sha256: string,
      body: ReadableStream | ArrayBuffer,
      contentType: string,
    ): Promise<boolean> {
      try {
        await bucket.put(key(owner, sha256), body, { sha256, httpMetadata: { contentType } })
        return true
      } catch (error) {
        if (error instanceof Error && error.message.endsWith(BAD_DIGEST)) return false
        throw error
      }
    },

    /** Rejects while the bucket cannot be read. */
    async isThere(): Promise<void> {
      await bucket.head('nothing')
    },

    async get(owner: Address, sha256: string): Promise<ReadableStream | null> {
      return (await bucket.get(key(owner, sha256)))?.body ?? null
    },

    /** At most 1,000 at a time. */
    async remove(owner: Address, hashes: string[]): Promise<void> {
      await bucket.delete(hashes.map((sha256) => key(owner, sha256)))
    },
  }
}
