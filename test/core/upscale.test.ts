import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DomainError } from '../../core/errors.ts'
import { base64Bytes, imageSize } from '../../core/image-size.ts'
import { maxUnits, meter } from '../../core/pricing.ts'
import { SubmitTask } from '../../core/protocol/task.ts'
import { toRequest } from '../../core/request.ts'
import { holds } from '../support/property.ts'

function png(width: number, height: number): Buffer {
  const header = Buffer.alloc(33)
  header.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  header.write('IHDR', 12)
  header.writeUInt32BE(width, 16)
  header.writeUInt32BE(height, 20)
  return header
}
/** 512 x 256, behind a segment of something else. */
const JPEG = Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xc2, 0, 0x0b, 8, 1, 0, 2, 0, 3, 0, 0, 0])

test('bytes are read out of base64 as they are, and none beyond', () => {
  holds(
    fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
      const read = base64Bytes(Buffer.from(bytes).toString('base64'))
      expect(Array.from({ length: read.length }, (_, i) => read.at(i))).toEqual([...bytes])
      expect(read.at(bytes.length)).toBeUndefined()
    }),
  )
})

test('an image tells by its header what it is and how large', () => {
  expect(imageSize(png(640, 70_000))).toEqual({ mediaType: 'image/png', width: 640, height: 70_000 })
  expect(imageSize(JPEG)).toEqual({ mediaType: 'image/jpeg', width: 512, height: 256 })
  for (const none of [JPEG.subarray(0, 8), png(1, 1).subarray(0, 23), Buffer.from('GIF89a'), Buffer.alloc(0)])
    expect(imageSize(none)).toBeUndefined()
})

const request = (bytes: Buffer, mediaType = 'image/png') =>
  toRequest(SubmitTask.parse({ kind: 'image.upscale', input: { image: bytes.toString('base64'), mediaType } }))

test('an image to upscale is counted in pixels, whatever its provider says', () => {
  expect(request(png(160, 128))).toMatchObject({ maxUnits: 20_480, variant: null })
  expect(request(png(1, 20_480)).maxUnits).toBe(20_480)
  const image = png(30, 20).toString('base64')
  expect(maxUnits('image.upscale', { image, mediaType: 'image/png' })).toBe(600)
  expect(meter('image.upscale', { inputTokens: 1e9, outputTokens: 1e9 }, 600)).toBe(600)
})

test.each<[string, Buffer, string, string, string]>([
  ['no image', Buffer.from('hello'), 'image/png', '/input/image', 'must be a PNG or JPEG'],
  ['another type than it says', JPEG, 'image/png', '/input/mediaType', 'must be image/jpeg'],
  ['one pixel too many', png(1, 20_481), 'image/png', '/input/image', 'at most 20480 pixels'],
  ['an image without width', png(0, 5), 'image/png', '/input/image', 'must have a width and a height'],
  ['a type that is not taken', png(2, 2), 'image/gif', '/input/mediaType', 'Invalid option'],
])('%s is refused where it stands, before anything is held', (_, bytes, mediaType, pointer, detail) => {
  try {
    request(bytes, mediaType)
    expect.unreachable()
  } catch (error) {
    expect(error).toBeInstanceOf(DomainError)
    expect(error).toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining(detail),
      details: { pointer },
    })
  }
})
