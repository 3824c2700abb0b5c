import { type Context, Hono } from 'hono'
import { BLOB_KEPT_MS } from '#core/blob.ts'
import { DomainError } from '#core/errors.ts'
import { type BlobView, Sha256 } from '#core/protocol.ts'
import { readBlob, storeBlob } from '../blobs.ts'
import { networkOf } from '../env.ts'
import { type AuthEnv, scope } from '../middleware/auth.ts'
import { parse } from '../middleware/body.ts'

const OCTETS = 'application/octet-stream'

export const blobs = new Hono<AuthEnv>()
  .put('/:sha256', scope('tasks:write'), async (c) => {
    const sha256 = parse(Sha256, c.req.param('sha256'))
    const length = c.req.header('content-length')
    if (length === undefined || !/^\d{1,15}$/.test(length)) throw new DomainError('length_required')
    const blob: BlobView = {
      sha256,
      bytes: Number(length),
      contentType: c.req.header('content-type')?.slice(0, 200) ?? OCTETS,
      keptUntil: Date.now() + BLOB_KEPT_MS,
    }
    const body = c.req.raw.body ?? new ArrayBuffer(0)
    return c.json(await storeBlob(networkOf(c.env), c.get('principal').address, blob, body), 201)
  })
  .get('/:sha256', scope('tasks:read'), async (c) => {
    const sha256 = parse(Sha256, c.req.param('sha256'))
    return content(c, await readBlob(networkOf(c.env), c.get('principal').address, sha256))
  })
  .delete('/:sha256', scope('tasks:write'), async (c) => {
    const sha256 = parse(Sha256, c.req.param('sha256'))
    const dropped = await networkOf(c.env).account(c.get('principal').address).dropBlob(sha256)
    if (!dropped) throw new DomainError('blob_not_found')
    return c.body(null, 204)
  })

/** What somebody uploaded, in a way that no browser takes for a page of ours. */
export function content(c: Context, { blob, body }: { blob: BlobView; body: ReadableStream }) {
  return c.body(body, 200, {
    'content-type': blob.contentType,
    'content-length': String(blob.bytes),
    'content-disposition': 'attachment',
    'content-security-policy': "sandbox; default-src 'none'",
    'x-content-type-options': 'nosniff',
  })
}
