import type { Context } from 'hono'
import type * as z from 'zod'
import { DomainError } from '#core/errors.ts'
import { firstIssue, isTooDeep, pointerTo } from '#core/json.ts'
import { LIMITS } from '#core/protocol/values.ts'

/** Some details name every field that is wrong. */
const DETAIL_LENGTH = 500

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })

/** Reads a JSON body: bounded, of the right type, well-formed. */
export async function readJson(c: Context): Promise<unknown> {
  const type = c.req.header('content-type') ?? ''
  if (!/^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(type)) throw new DomainError('unsupported_media_type')
  const bytes = await readBytes(c.req.raw).catch((error: unknown) => {
    if (error instanceof DomainError) throw error
    // Whoever sends went away, and nothing of ours is wrong.
    throw new DomainError('malformed_json', { detail: 'the body broke off' })
  })
  const value = parseJson(bytes)
  if (isTooDeep(value)) throw new DomainError('invalid_request', { detail: 'nested too deep', pointer: '' })
  return value
}

function parseJson(bytes: ArrayBuffer | Uint8Array): unknown {
  try {
    return JSON.parse(UTF8.decode(bytes))
  } catch (error) {
    throw new DomainError('malformed_json', {
      detail: error instanceof Error ? error.message.slice(0, 200) : 'not JSON',
    })
  }
}

/**
 * Checks a value against a schema; the error points to the first field that is wrong.
 * @param toPointer how it does; undefined for what is nowhere in the body
 */
export function parse<S extends z.ZodType>(
  schema: S,
  value: unknown,
  toPointer: (issue: z.core.$ZodIssue) => string | undefined = pointerTo,
): z.output<S> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const issue = firstIssue(parsed.error)
  const pointer = toPointer(issue)
  throw new DomainError('invalid_request', {
    detail: issue.message.slice(0, DETAIL_LENGTH),
    ...(pointer !== undefined && { pointer }),
  })
}

async function readBytes(request: Request): Promise<ArrayBuffer | Uint8Array> {
  const length = Number(request.headers.get('content-length') ?? Number.NaN)
  if (length > LIMITS.bodyBytes) throw new DomainError('body_too_large')
  if (length >= 0) return request.arrayBuffer()
  // A body of unknown length is read only as far as it may go.
  const chunks: Uint8Array[] = []
  let read = 0
  for await (const chunk of request.body ?? []) {
    read += chunk.byteLength
    if (read > LIMITS.bodyBytes) throw new DomainError('body_too_large')
    chunks.push(chunk)
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer())
}
