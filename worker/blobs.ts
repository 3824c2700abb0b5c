/** Blobs as routes use them: what is kept is said by the account, the content is in the store. */
import { BLOB_KEPT_MS, blobsIn } from '#core/blob.ts'
import { DomainError } from '#core/errors.ts'
import type { BlobView } from '#core/protocol/blob.ts'
import { type Address, LIMITS } from '#core/protocol/values.ts'
import type { TaskRequest } from '#core/request.ts'
import type { Network } from './env.ts'
import { unwrap } from './outcome.ts'

/**
 * Keeps content for an account; what it has already it keeps on.
 * @param blob its hash, its exact length, its type and until when it is to be kept (Unix milliseconds)
 * @throws DomainError body_too_large, blob_quota_exceeded, blob_mismatch
 */
export async function storeBlob(
  network: Network,
  owner: Address,
  blob: BlobView,
  body: ReadableStream | ArrayBuffer,
): Promise<BlobView> {
  if (blob.bytes > LIMITS.blobBytes) throw new DomainError('body_too_large')
  const account = network.account(owner)
  unwrap(await account.reserveBlob(blob))
  const fits = await network.blobs.put(owner, blob.sha256, body, blob.contentType).catch(async (error: unknown) => {
    await account.missedBlob(blob.sha256)
    throw error
  })
  if (!fits) {
    await account.missedBlob(blob.sha256)
    throw new DomainError('blob_mismatch')
  }
  return account.storedBlob(blob)
}

/** An account's blob and its content. @throws DomainError blob_not_found */
export async function readBlob(
  network: Network,
  owner: Address,
  sha256: string,
): Promise<{ blob: BlobView; body: ReadableStream }> {
  const blob = await network.account(owner).blob(sha256)
  const body = blob && (await network.blobs.get(owner, sha256))
  if (!body) throw new DomainError('blob_not_found')
  return { blob, body }
}

/** Keeps what the requests refer to until after their deadlines. @throws DomainError blob_not_found */
export async function holdBlobs(network: Network, owner: Address, requests: TaskRequest[], now: number): Promise<void> {
  const wanted = requests.flatMap(({ kind, input, deadlineMs, pointer = '' }) =>
    blobsIn(kind, input).map((blob) => ({
      sha256: blob.sha256,
      until: now + deadlineMs + BLOB_KEPT_MS,
      pointer: `${pointer}/input${blob.pointer}`,
    })),
  )
  if (wanted.length === 0) return
  const missing = await network.account(owner).keepBlobs(wanted.map(({ sha256, until }) => ({ sha256, until })))
  const lost = wanted.find(({ sha256 }) => missing.includes(sha256))
  if (lost)
    throw new DomainError('blob_not_found', { detail: `you have no blob ${lost.sha256}`, pointer: lost.pointer })
}
