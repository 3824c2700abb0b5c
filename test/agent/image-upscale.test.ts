import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { crc32, deflateSync } from 'node:zlib'
import jpeg from 'jpeg-js'
import { PNG } from 'pngjs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { localRunners } from '#agent/local-runners.ts'
import { type Picture, readPicture, writePng } from '#agent/picture.ts'
import type { Runner } from '#agent/runner.ts'
import { LIMITS } from '#core/protocol/values.ts'
import { OUTPUTS } from '#core/protocol/work.ts'
import { sizeOf } from '#core/snapshot.ts'
import { UPSCALE_PIXELS } from '#core/upscale.ts'

/** Two real runners, each in its own process. */
const restarts: unknown[] = []
const [first, second] = [1, 2].map(() => localRunners(['image.upscale'], (...event) => restarts.push(event))[0]!) as [
  Runner,
  Runner,
]
let flower: Picture

beforeAll(async () => {
  await first.load(AbortSignal.timeout(60_000))
  flower = readPicture(
    await readFile(new URL('../../node_modules/@upscalerjs/default-model/assets/fixture.png', import.meta.url)),
    'image/png',
  )
}, 60_000)
afterAll(() => Promise.all([first.close(), second.close()]))

async function upscale(bytes: Buffer, mediaType = 'image/png', runner = first, signal = AbortSignal.timeout(30_000)) {
  const input = { image: bytes.toString('base64'), mediaType }
  const { output } = await runner.run(input, { signal, onDelta: () => {}, maxUnits: UPSCALE_PIXELS })
  return OUTPUTS['image.upscale'].parse(output)
}
const upscaled = async (picture: Picture) =>
  PNG.sync.read(Buffer.from((await upscale(writePng(picture))).image, 'base64'))

function drawn(width: number, height: number, channels: 3 | 4, colour: (x: number, y: number) => number[]): Picture {
  const data = new Uint8Array(width * height * channels)
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) data.set(colour(x, y), (y * width + x) * channels)
  return { width, height, channels, data }
}
const at = ({ width, channels, data }: Picture, x: number, y: number): number[] => {
  const from = (y * width + x) * channels
  return [...data.subarray(from, from + channels)]
}

test('it passes its probe and shows a speed and the digest of its weights', async () => {
  const probe = await first.probe(AbortSignal.timeout(30_000))
  expect(probe.speed).toBeGreaterThan(0)
  expect(probe.digest).toMatch(/^sha256:[0-9a-f]{64}$/)
})

test('print that was made small comes out twice as large, and closer to what it was than with every pixel doubled', async () => {
  const page = readPicture(await readFile(new URL('../../scripts/demo/page.png', import.meta.url)), 'image/png')
  const print = drawn(128, 128, 3, (x, y) => at(page, x + 30, y + 30))
  const small = drawn(64, 64, 3, (x, y) => {
    const four = [0, 1, 2, 3].map((i) => at(print, 2 * x + (i & 1), 2 * y + (i >> 1)))
    return [0, 1, 2].map((channel) => four.reduce((sum, colour) => sum + colour[channel]!, 0) / 4)
  })
  const made = await upscaled(small)
  expect([made.width, made.height]).toEqual([128, 128])
  const error = (picture: Picture) => {
    let sum = 0
    for (let y = 0; y < 128; y++)
      for (let x = 0; x < 128; x++) for (const i of [0, 1, 2]) sum += (at(picture, x, y)[i]! - at(print, x, y)[i]!) ** 2
    return sum
  }
  const doubled = drawn(128, 128, 3, (x, y) => at(small, x >> 1, y >> 1))
  expect(error({ ...made, channels: 4 })).toBeLessThan(0.7 * error(doubled))
})

test('two processes give the same bytes', async () => {
  const bytes = writePng(flower)
  expect(await upscale(bytes, 'image/png', second)).toEqual(await upscale(bytes))
})

test('where tiles meet nothing shows: what is around a part changes only its edge', async () => {
  const noise = (x: number, y: number) => [(x * x + 7 * y) % 256, (x * y) % 256, (31 * x + y * y) % 256]
  const whole = await upscaled(drawn(200, 60, 3, noise))
  const part = await upscaled(drawn(100, 60, 3, (x, y) => noise(x + 70, y)))
  const row = (image: typeof whole, y: number, from: number, to: number) =>
    image.data.subarray((y * image.width + from) * 4, (y * image.width + to) * 4)
  for (let y = 0; y < 120; y++) expect(row(whole, y, 160, 320)).toEqual(row(part, y, 20, 180))
})

test('opacity is kept, and a single pixel and a JPEG are images too', async () => {
  const half = await upscaled(drawn(40, 40, 4, (x) => [200, 30, 30, x < 20 ? 0 : 255]))
  const opacity = (x: number) => half.data[(40 * 80 + x) * 4 + 3]!
  expect([opacity(10), opacity(70)].map((value) => Math.round(value / 16))).toEqual([0, 16])
  expect(await upscaled(drawn(1, 1, 3, () => [90, 90, 90]))).toMatchObject({ width: 2, height: 2 })
  const data = Buffer.from(drawn(128, 128, 4, (x, y) => [...at(flower, x, y), 255]).data)
  const photo = jpeg.encode({ width: 128, height: 128, data }, 90).data
  expect(await upscale(Buffer.from(photo), 'image/jpeg')).toMatchObject({ width: 256, height: 256 })
})

test('torn images and such as would fill the memory fail with the reason, and the next is taken', async () => {
  const bytes = writePng(flower)
  const flipped = Buffer.from(bytes)
  flipped[2000]! ^= 1
  const photo = Buffer.from(jpeg.encode({ width: 32, height: 32, data: Buffer.alloc(4096, 7) }, 90).data)
  const header = bytes.subarray(8, 33)
  const interlaced = Buffer.concat([header.subarray(4, 20), Buffer.of(1)])
  // The pixels of a picture of 128 x 128 that come to 256 MiB.
  const bomb = [part(interlaced), part(Buffer.concat([Buffer.from('IDAT'), deflateSync(Buffer.alloc(2 ** 28))]))]
  const torn: [Buffer, string, RegExp][] = [
    [bytes.subarray(0, 4000), 'image/png', /unexpected end of file/],
    [flipped, 'image/png', /cannot be read/],
    [photo.subarray(0, photo.length - 30), 'image/jpeg', /cannot be read/],
    [Buffer.concat([bytes.subarray(0, 8), ...bomb, part(Buffer.from('IEND'))]), 'image/png', /larger than/],
    [Buffer.concat([bytes.subarray(0, 33), header, bytes.subarray(33)]), 'image/png', /two headers/],
  ]
  for (const [image, mediaType, message] of torn)
    await expect(upscale(image, mediaType)).rejects.toMatchObject({
      code: 'unreadable_image',
      message: expect.stringMatching(message),
    })
  expect(await upscale(bytes)).toMatchObject({ width: 256, height: 256 })
}, 30_000)

/** A chunk of its name and content. */
function part(named: Buffer): Buffer {
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(named.length - 4)
  sum.writeUInt32BE(crc32(named))
  return Buffer.concat([length, named, sum])
}

test.each([
  [160, 128],
  [1, UPSCALE_PIXELS],
  [UPSCALE_PIXELS, 1],
])(
  'the double of the largest image, here of %i x %i, fits a result even if it cannot be compressed',
  (width, height) => {
    const data = randomBytes(4 * UPSCALE_PIXELS * 4)
    const image = writePng({ width: 2 * width, height: 2 * height, channels: 4, data }).toString('base64')
    expect(sizeOf({ image, width: 2 * width, height: 2 * height })).toBeLessThan(LIMITS.outputBytes)
  },
)

test('an attempt that is stopped stops at the next tile, and its process goes on', async () => {
  const large = writePng(drawn(1, UPSCALE_PIXELS, 4, (_, y) => [y % 256, y >> 7, 0, 128]))
  const stop = new AbortController()
  const stopped = upscale(large, 'image/png', first, stop.signal)
  // Nothing tells that the first of its 160 tiles is done.
  setTimeout(() => stop.abort(), 100)
  await expect(stopped).rejects.toMatchObject({ code: 'aborted' })
  expect(await upscale(writePng(flower))).toMatchObject({ width: 256 })
  expect(restarts).toEqual([])
})
