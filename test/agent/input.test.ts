import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { EdgeError } from '#agent/edge.ts'
import { type FetchBlob, openInput } from '#agent/input.ts'
import { TIMING } from '#agent/timing.ts'
import type { Lease } from '#core/protocol/lease.ts'

const page = Buffer.from('a page')
const sha256 = createHash('sha256').update(page).digest('hex')
const timing = { ...TIMING, backoffMs: 1, backoffMaxMs: 2 }

function open(fetchBlob: FetchBlob, image: unknown = { sha256 }, signal = new AbortController().signal) {
  const lease = { kind: 'doc.ocr', input: { image, mediaType: 'image/png' } as Record<string, unknown> }
  return openInput(lease as Lease, fetchBlob, { timing, random: () => 0, signal })
}

/** An edge that answers so, one after another, the last for ever. */
function answering(...answers: (Uint8Array | EdgeError)[]) {
  const asked: string[] = []
  const fetchBlob: FetchBlob = async (hash) => {
    const answer = answers[Math.min(asked.length, answers.length - 1)]!
    asked.push(hash)
    if (answer instanceof EdgeError) throw answer
    return answer
  }
  return { asked, fetchBlob }
}

const away = new EdgeError('unreachable', 'no answer')

test('an image is its bytes, whether it came inline or by reference', async () => {
  const { fetchBlob, asked } = answering(page)
  const expected = { image: page, mediaType: 'image/png' }
  expect(await open(fetchBlob, page.toString('base64'))).toEqual(expected)
  expect(asked).toEqual([])
  expect(await open(fetchBlob)).toEqual(expected)
  expect(asked).toEqual([sha256])
})

test('an input that was uploaded whole is read and checked like any other', async () => {
  const read = async (content: string) => {
    const bytes = Buffer.from(content)
    const input = { sha256: createHash('sha256').update(bytes).digest('hex') }
    const lease = { kind: 'text.embed', input: input as Record<string, unknown> } as Lease
    const { signal } = new AbortController()
    return openInput(lease, answering(bytes).fetchBlob, { timing, random: () => 0, signal })
  }
  expect(await read('{"texts":["one"]}')).toEqual({ texts: ['one'] })
  for (const wrong of ['{"texts":[]}', '{"sha256":"x"}', 'no JSON'])
    await expect(read(wrong)).rejects.toMatchObject({ code: 'invalid_input' })
})

test('an edge that is away is waited for, for as long as it takes', async () => {
  const { fetchBlob, asked } = answering(...Array(50).fill(away), page)
  expect(await open(fetchBlob)).toMatchObject({ image: page })
  expect(asked).toHaveLength(51)
})

test('waiting ends with the lease', async () => {
  const controller = new AbortController()
  const { fetchBlob, asked } = answering(away)
  const opened = open(
    async (...call) => {
      if (asked.length === 3) controller.abort(new Error('revoked'))
      return fetchBlob(...call)
    },
    undefined,
    controller.signal,
  )
  await expect(opened).rejects.toThrow('revoked')
})

test('content with another hash is asked for again, and refused in the end', async () => {
  const torn = page.subarray(1)
  expect(await open(answering(torn, torn, page).fetchBlob)).toMatchObject({ image: page })
  const { fetchBlob, asked } = answering(torn)
  await expect(open(fetchBlob)).rejects.toMatchObject({ code: 'input_unavailable' })
  expect(asked).toHaveLength(6)
})

test('a blob that is gone is not asked for again', async () => {
  const { fetchBlob, asked } = answering(away, new EdgeError('blob_not_found', 'No such blob'))
  await expect(open(fetchBlob)).rejects.toMatchObject({
    code: 'input_unavailable',
    message: `the edge did not give the blob ${sha256}: No such blob`,
  })
  expect(asked).toHaveLength(2)
})
