import { type Context, Hono } from 'hono'
import { BLOB_KEPT_MS } from '#core/blob.ts'
import { DomainError } from '#core/errors.ts'
import { BlobPath, BlobView } from '#core/protocol/blob.ts'
import { readBlob, storeBlob } from '../blobs.ts'
import { type Env, networkOf } from '../env.ts'
import { operation } from '../middleware/operation.ts'

const OCTETS = 'application/octet-stream'

export const blobs = new Hono<{ Bindings: Env }>()
  .put(
    '/:sha256',
    operation({
      summary: 'Keep content, for inputs to refer to',
      details: 'Up to 100 MiB, at the lower-case hex SHA-256 of its bytes; send a Content-Length.',
      access: 'tasks:write',
      params: BlobPath,
      upload: '*/*',
      answers: { 201: BlobView },
      errors: ['length_required', 'blob_mismatch', 'blob_quota_exceeded'],
    }),
    async (c) => {
      const { sha256 } = c.req.valid('param')
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
    },
  )
  .get(
    '/:sha256',
    operation({
      summary: 'Read a blob',
      access: 'tasks:read',
      params: BlobPath,
      answers: { 200: '*/*' },
      errors: ['blob_not_found'],
    }),
    async (c) => content(c, await readBlob(networkOf(c.env), c.get('principal').address, c.req.valid('param').sha256)),
  )
  .delete(
    '/:sha256',
    operation({
      summary: 'Drop a blob',
      access: 'tasks:write',
      params: BlobPath,
      answers: { 204: null },
      errors: ['blob_not_found'],
    }),
    async (c) => {
      const dropped = await networkOf(c.env).account(c.get('principal').address).dropBlob(c.req.valid('param').sha256)
      if (!dropped) throw new DomainError('blob_not_found')
      return c.body(null, 204)
    },
  )

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
