import { Hono } from 'hono'
import { FILE_LIMITS, FileDeleted, FileForm, FileList, FileView, PageQuery, pageName } from '#core/batch.ts'
import { DomainError } from '#core/errors.ts'
import type { Address } from '#core/protocol/values.ts'
import { type Env, type Network, networkOf } from '../../env.ts'
import { operation } from '../../middleware/operation.ts'
import { piecesOf } from '../../multipart.ts'
import { unwrap } from '../../outcome.ts'
import { pageOf } from './page.ts'

export const files = new Hono<{ Bindings: Env }>()
  .post(
    '/',
    operation({
      summary: 'Upload a file of requests for a batch',
      access: 'tasks:write',
      form: FileForm,
      answers: { 200: FileView },
      errors: ['file_quota_exceeded', 'file_not_found'],
    }),
    async (c) => {
      const network = networkOf(c.env)
      const { address } = c.get('principal')
      const library = network.library(address)
      const id = unwrap(await library.openFile())
      try {
        const { filename, bytes, purpose } = await upload(network, address, id, c.req.raw)
        if (filename === undefined) throw new DomainError('invalid_request', { detail: 'no file', pointer: '/file' })
        if (purpose !== 'batch') {
          const detail = 'purpose must be "batch"'
          throw new DomainError('invalid_request', { detail, pointer: '/purpose' })
        }
        return c.json(unwrap(await library.closeFile(id, filename, bytes)))
      } catch (error) {
        await library.removeFile(id)
        throw error
      }
    },
  )
  .get(
    '/',
    operation({
      summary: 'List the files, latest first',
      access: 'tasks:read',
      query: PageQuery,
      answers: { 200: FileList },
    }),
    async (c) => {
      const all = await networkOf(c.env).library(c.get('principal').address).files()
      return c.json(pageOf(c.req.valid('query'), all))
    },
  )
  .get(
    '/:id',
    operation({
      summary: 'Read what is known of a file',
      access: 'tasks:read',
      answers: { 200: FileView },
      errors: ['file_not_found'],
    }),
    async (c) => c.json(await found(networkOf(c.env), c.get('principal').address, c.req.param('id'))),
  )
  .delete(
    '/:id',
    operation({
      summary: 'Delete a file',
      access: 'tasks:write',
      answers: { 200: FileDeleted },
      errors: ['file_not_found', 'file_in_use'],
    }),
    async (c) => {
      const network = networkOf(c.env)
      const { id } = await found(network, c.get('principal').address, c.req.param('id'))
      unwrap(await network.library(c.get('principal').address).removeFile(id))
      return c.json({ id, object: 'file', deleted: true })
    },
  )
  .get(
    '/:id/content',
    operation({
      summary: 'Read a file',
      access: 'tasks:read',
      answers: { 200: 'application/octet-stream' },
      errors: ['file_not_found'],
    }),
    async (c) => {
      const network = networkOf(c.env)
      const { address } = c.get('principal')
      const { id, bytes } = await found(network, address, c.req.param('id'))
      const pages = network.files.content(address, id)
      const body = new ReadableStream<Uint8Array>({
        async pull(controller) {
          const { value, done } = await pages.next()
          if (done) controller.close()
          else controller.enqueue(value)
        },
      })
      return c.body(body, 200, {
        'content-type': 'application/octet-stream',
        'content-length': String(bytes),
        'content-disposition': 'attachment',
        'x-content-type-options': 'nosniff',
      })
    },
  )

async function found(network: Network, owner: Address, id: string): Promise<FileView> {
  const file = await network.library(owner).file(id)
  if (!file) throw new DomainError('file_not_found')
  return file
}

type Upload = { filename: string | undefined; purpose: string; bytes: number }

/** Writes the file of a form in pages as it comes. */
async function upload(network: Network, owner: Address, id: string, request: Request): Promise<Upload> {
  const form: Upload = { filename: undefined, purpose: '', bytes: 0 }
  const decoder = new TextDecoder()
  const page = new Uint8Array(FILE_LIMITS.pageBytes)
  const put = (number: number, length: number) =>
    network.files.put(owner, id, pageName(number), page.subarray(0, length))
  let field = ''
  for await (const piece of piecesOf(request)) {
    if (piece.type === 'part') {
      field = piece.name
      if (field !== 'file' && field !== 'purpose')
        throw new DomainError('invalid_request', { detail: `unknown field "${field}"`, pointer: `/${field}` })
      if (field === 'file') form.filename = piece.filename?.slice(0, 200) ?? 'file.jsonl'
    } else if (field === 'purpose') form.purpose = (form.purpose + decoder.decode(piece.bytes)).slice(0, 40)
    else {
      if (form.bytes + piece.bytes.length > FILE_LIMITS.bytes) throw new DomainError('body_too_large')
      for (let rest = piece.bytes; rest.length > 0; ) {
        const at = form.bytes % page.length
        const fits = rest.subarray(0, page.length - at)
        page.set(fits, at)
        form.bytes += fits.length
        rest = rest.subarray(fits.length)
        if (form.bytes % page.length === 0) await put(form.bytes / page.length - 1, page.length)
      }
    }
  }
  const last = form.bytes % page.length
  if (last > 0) await put(Math.floor(form.bytes / page.length), last)
  return form
}
