/** The parts of a multipart/form-data body (RFC 7578) as they come, so that a file in it need not fit memory. */
import { DomainError } from '#core/errors.ts'

export type Piece = { type: 'part'; name: string; filename: string | null } | { type: 'data'; bytes: Uint8Array }

const HEADER_BYTES = 4096
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** @throws DomainError unsupported_media_type, invalid_request */
export async function* piecesOf(request: Request): AsyncGenerator<Piece> {
  const type = request.headers.get('content-type') ?? ''
  const boundary = /^multipart\/form-data\s*;.*boundary=(?:"([^"]{1,70})"|([^;\s]{1,70}))/i.exec(type)
  if (!boundary || !request.body) {
    throw new DomainError('unsupported_media_type', { detail: 'send multipart/form-data' })
  }
  const delimiter = encoder.encode(`\r\n--${boundary[1] ?? boundary[2]}`)
  // So that the first delimiter is like the others.
  let rest: Uint8Array = encoder.encode('\r\n')
  let state: 'before' | 'header' | 'data' = 'before'
  for await (const chunk of request.body as AsyncIterable<Uint8Array>) {
    rest = joined(rest, chunk)
    for (;;) {
      if (state === 'header') {
        if (rest.length >= 2 && rest[0] === 0x2d && rest[1] === 0x2d) return
        const end = indexOf(rest, HEADER_END)
        if (end < 0) {
          if (rest.length > HEADER_BYTES) throw broken('a part has no end of its header')
          break
        }
        yield partOf(decoder.decode(rest.subarray(0, end)))
        rest = rest.subarray(end + HEADER_END.length)
        state = 'data'
      }
      const at = indexOf(rest, delimiter)
      if (at < 0) {
        // What may be the beginning of a delimiter waits for more.
        const sure = Math.max(0, rest.length - delimiter.length)
        if (state === 'data' && sure > 0) yield { type: 'data', bytes: rest.subarray(0, sure) }
        rest = rest.subarray(sure)
        break
      }
      if (state === 'data' && at > 0) yield { type: 'data', bytes: rest.subarray(0, at) }
      rest = rest.subarray(at + delimiter.length)
      state = 'header'
    }
  }
  throw broken('the body ends in the middle')
}

const HEADER_END = encoder.encode('\r\n\r\n')

function partOf(header: string): Piece {
  const disposition = /^content-disposition:\s*form-data(.*)$/im.exec(header)?.[1] ?? ''
  const name = /;\s*name="([^"]*)"/i.exec(disposition)?.[1]
  if (name === undefined) throw broken('a part has no name')
  return { type: 'part', name, filename: /;\s*filename="([^"]*)"/i.exec(disposition)?.[1] ?? null }
}

const broken = (detail: string) => new DomainError('invalid_request', { detail: `multipart/form-data: ${detail}` })

/** Where `part` begins, or -1; it begins with a carriage return, which text seldom holds. */
function indexOf(bytes: Uint8Array, part: Uint8Array): number {
  for (let at = bytes.indexOf(0x0d); at >= 0; at = bytes.indexOf(0x0d, at + 1)) {
    if (at + part.length > bytes.length) return -1
    if (part.every((byte, i) => bytes[at + i] === byte)) return at
  }
  return -1
}

export function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b
  const all = new Uint8Array(a.length + b.length)
  all.set(a)
  all.set(b, a.length)
  return all
}
