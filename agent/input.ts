/** A lease's input as its runner takes it: checked, and with the content that it only refers to. */
import { createHash } from 'node:crypto'
import { INPUTS, type InputOf, type Lease } from '#core/protocol.ts'
import { EdgeError } from './edge.ts'
import { RunnerError } from './runner.ts'
import { backoff, pause, type Timing } from './timing.ts'

/** Reads a blob of the lease; rejects with EdgeError. */
export type FetchBlob = (sha256: string, signal: AbortSignal) => Promise<Uint8Array>

/** How often an edge that does answer may fail to give the content. */
const TRIES = 6

/** @throws RunnerError invalid_input, input_unavailable */
export async function openInput(
  lease: Lease,
  fetchBlob: FetchBlob,
  { timing, random, signal }: { timing: Timing; random: () => number; signal: AbortSignal },
): Promise<unknown> {
  const parsed = INPUTS[lease.kind].safeParse(lease.input)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new RunnerError('invalid_input', `input/${issue?.path.join('/')}: ${issue?.message}`)
  }
  if (lease.kind !== 'doc.ocr') return parsed.data
  const { image, ...rest } = parsed.data as InputOf<'doc.ocr'>
  if (typeof image === 'string') return { ...rest, image: Buffer.from(image, 'base64') }
  return { ...rest, image: await contentOf(image.sha256) }

  /** An edge that is away is waited for, as long as the lease is ours: its absence must not look like our failure. */
  async function contentOf(sha256: string): Promise<Uint8Array> {
    let answers = 0
    for (let failures = 0; ; failures++) {
      const reason = await fetchBlob(sha256, signal).then(
        (bytes) => (createHash('sha256').update(bytes).digest('hex') === sha256 ? bytes : 'it has another hash'),
        (error: unknown) => {
          if (!(error instanceof EdgeError)) throw error
          if (error.code === 'blob_not_found') answers = TRIES
          return error
        },
      )
      if (reason instanceof Uint8Array) return reason
      if (!(reason instanceof EdgeError && reason.code === 'unreachable')) answers++
      signal.throwIfAborted()
      if (answers >= TRIES) {
        const why = reason instanceof EdgeError ? reason.message : reason
        throw new RunnerError('input_unavailable', `the edge did not give the blob ${sha256}: ${why}`)
      }
      await pause(backoff(failures, timing, random), signal)
    }
  }
}
