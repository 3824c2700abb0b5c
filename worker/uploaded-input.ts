/** Inputs too large to be written in a request: uploaded as JSON, and read here to be checked and priced. Tasks keep the reference. */
import { isReference } from '#core/blob-ref.ts'
import { DomainError } from '#core/errors.ts'
import { isTooDeep } from '#core/json.ts'
import type { SubmitTask } from '#core/protocol/task.ts'
import { type Address, LIMITS } from '#core/protocol/values.ts'
import { type TaskRequest, toRequest } from '#core/request.ts'
import { readBlob } from './blobs.ts'
import type { Network } from './env.ts'

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })

/**
 * Tasks as checked requests, with what their inputs refer to. All that they refer to may have as many bytes as a request.
 * @param toPointer where a task stands in the body
 * @throws DomainError blob_not_found, body_too_large, invalid_request
 */
export async function withInputs(
  network: Network,
  owner: Address,
  tasks: SubmitTask[],
  toPointer: (index: number) => string,
): Promise<TaskRequest[]> {
  const requests: TaskRequest[] = []
  let bytes = 0
  for (const [i, task] of tasks.entries()) {
    const pointer = toPointer(i)
    if (!isReference(task.input)) requests.push(toRequest(task, pointer))
    else {
      const { sha256 } = task.input
      const { blob, body } = await readBlob(network, owner, sha256).catch((error: unknown) => {
        if (!(error instanceof DomainError)) throw error
        throw new DomainError(error.code, { detail: `you have no blob ${sha256}`, pointer: `${pointer}/input` })
      })
      bytes += blob.bytes
      if (bytes > LIMITS.bodyBytes) throw new DomainError('body_too_large', { pointer: `${pointer}/input` })
      requests.push(toRequest(task, pointer, contentOf(await new Response(body).arrayBuffer(), `${pointer}/input`)))
    }
  }
  return requests
}

function contentOf(bytes: ArrayBuffer, pointer: string): Record<string, unknown> {
  const refuse = (detail: string) => new DomainError('invalid_request', { detail, pointer })
  let value: unknown
  try {
    value = JSON.parse(UTF8.decode(bytes))
  } catch {
    throw refuse('the blob is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse('the blob is no JSON object')
  if (isTooDeep(value)) throw refuse('nested too deep')
  return value as Record<string, unknown>
}
