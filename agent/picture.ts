/// <reference path="./pngjs.d.ts" />
/** Pictures as their pixels and back. What is written is the same on every machine, which zlib as Node has it would not be. */
import { crc32, inflateSync } from 'node:zlib'
import { zlibSync } from 'fflate'
import jpeg from 'jpeg-js'
import { PNG } from 'pngjs'
import type { MediaType } from '#core/image-size.ts'

/** Eight bits a channel, rows from the top, no gaps: three channels (red, green, blue), or four with opacity. */
export type Picture = { width: number; height: number; channels: 3 | 4; data: Uint8Array }

const MOST_DECODER_MB = 64
const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex')

/** A picture whose size was looked at before; opacity is told only where it is not full. Throws for what is torn. */
export function readPicture(bytes: Buffer, mediaType: MediaType): Picture {
  const { width, height, data } = mediaType === 'image/png' ? readPng(bytes) : readJpeg(bytes)
  const channels = data.every((value, i) => i % 4 !== 3 || value === 255) ? 3 : 4
  return { width, height, channels, data: channels === 4 ? data : data.filter((_, i) => i % 4 !== 3) }
}

const readJpeg = (bytes: Buffer) =>
  jpeg.decode(bytes, { useTArray: true, tolerantDecoding: false, maxMemoryUsageInMB: MOST_DECODER_MB })

/** Its pixels are inflated once before, within the memory that they may take: the decoder itself sets no bound to all of them. */
function readPng(bytes: Buffer) {
  const [width, height] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)]
  const deflated: Buffer[] = []
  for (let at = SIGNATURE.length; at + 12 <= bytes.length; at += 12 + bytes.readUInt32BE(at)) {
    const type = bytes.toString('latin1', at + 4, at + 8)
    if (type === 'IHDR' && at > SIGNATURE.length) throw new Error('it has two headers')
    if (type === 'IDAT') deflated.push(bytes.subarray(at + 8, at + 8 + bytes.readUInt32BE(at)))
  }
  // At most eight bytes a pixel, and of an interlaced picture of one column nearly as many for the rows of its passes.
  inflateSync(Buffer.concat(deflated), { maxOutputLength: 16 * (width * height + 1) })
  return PNG.sync.read(bytes)
}

export function writePng({ width, height, channels, data }: Picture): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, channels === 4 ? 6 : 2], 8)
  const pixels = zlibSync(filtered(data, width * channels, channels))
  return Buffer.concat([SIGNATURE, chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', new Uint8Array())])
}

function chunk(type: string, content: Uint8Array): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), content])
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(content.length)
  sum.writeUInt32BE(crc32(named))
  return Buffer.concat([length, named, sum])
}

const PAETH = 4

/** Every row by Paeth's filter: of pictures, choosing the best for each row would save a thousandth. */
function filtered(data: Uint8Array, row: number, channels: number): Uint8Array {
  const out = new Uint8Array(data.length + data.length / row)
  for (let from = 0, to = 0; from < data.length; from += row) {
    out[to++] = PAETH
    for (let i = from; i < from + row; i++) {
      const isFirst = i < from + channels
      const left = isFirst ? 0 : data[i - channels]!
      const above = data[i - row] ?? 0
      const aboveLeft = isFirst ? 0 : (data[i - channels - row] ?? 0)
      out[to++] = data[i]! - paeth(left, above, aboveLeft)
    }
  }
  return out
}

/** Of the three neighbours the one that is nearest to left + above - aboveLeft. */
function paeth(left: number, above: number, aboveLeft: number): number {
  const [byLeft, byAbove] = [Math.abs(above - aboveLeft), Math.abs(left - aboveLeft)]
  const byBoth = Math.abs(left + above - 2 * aboveLeft)
  if (byLeft <= byAbove && byLeft <= byBoth) return left
  return byAbove <= byBoth ? above : aboveLeft
}
