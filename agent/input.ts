/** A lease's input as its runner takes it: checked, and with the content that it only refers to. */
import { createHash } from 'node:crypto'
import { isReference } from '#core/blob-ref.ts'
import { CONTAINER_LIMITS, programSeconds, WASI_LIMITS } from '#core/program-limits.ts'
import type { Lease } from '#core/protocol/lease.ts'
import { type ContainerKind, INPUTS, type InputOf } from '#core/protocol/work.ts'
import { EdgeError } from './edge.ts'
import { RunnerError, type RunnerInput } from './runner.ts'
import { backoff, pause, type Timing } from './timing.ts'

/** Base64, or a blob of the lease. */
type Content = string | { sha256: string }

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
  const given = isReference(lease.input) ? jsonOf(await contentOf(lease.input.sha256)) : lease.input
  const parsed = INPUTS[lease.kind].safeParse(given)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new RunnerError('invalid_input', `input/${issue?.path.join('/')}: ${issue?.message}`)
  }
  switch (lease.kind) {
    case 'doc.ocr': {
      const { image, ...rest } = parsed.data as InputOf<'doc.ocr'>
      return { ...rest, image: await bytesOf(image) } satisfies RunnerInput<'doc.ocr'>
    }
    case 'wasi.run':
      return await wasiInput(parsed.data as InputOf<'wasi.run'>)
    case 'container.run':
    case 'gpu.exec':
      return await programInput(parsed.data as InputOf<ContainerKind>, CONTAINER_LIMITS[lease.kind].inputBytes)
    default:
      return parsed.data
  }

  async function wasiInput({ module, ...given }: InputOf<'wasi.run'>): Promise<RunnerInput<'wasi.run'>> {
    const program = await bytesOf(module)
    return { module: program, ...(await programInput(given, WASI_LIMITS.inputBytes, program.byteLength)) }
  }

  /** @param used bytes of the program itself, which count too */
  async function programInput(
    input: InputOf<ContainerKind>,
    most: number,
    used = 0,
  ): Promise<RunnerInput<ContainerKind>> {
    const { args = [], stdin = '', files = {}, outputs = [] } = input
    let left = most - used
    const take = async (content: Content) => {
      const taken = await bytesOf(content)
      left -= taken.byteLength
      if (left >= 0) return taken
      throw new RunnerError('invalid_input', `program and files have more than ${most} bytes`)
    }
    const given = await take(stdin)
    const taken: Record<string, Uint8Array> = {}
    for (const [name, content] of Object.entries(files)) taken[name] = await take(content)
    return { args, stdin: given, files: taken, outputs, seconds: programSeconds(input) }
  }

  function jsonOf(content: Uint8Array): unknown {
    try {
      return JSON.parse(Buffer.from(content).toString())
    } catch {
      throw new RunnerError('invalid_input', 'the input that was uploaded is not JSON')
    }
  }

  function bytesOf(content: Content): Uint8Array | Promise<Uint8Array> {
    return typeof content === 'string' ? Buffer.from(content, 'base64') : contentOf(content.sha256)
  }

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
