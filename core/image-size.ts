/**
 * What an image is and how large, from its header alone: a small file cannot ask for a huge bitmap, and the edge knows what a task
 * comes to.
 */
export const MEDIA_TYPES = ['image/png', 'image/jpeg'] as const
export type MediaType = (typeof MEDIA_TYPES)[number]
export type ImageSize = { mediaType: MediaType; width: number; height: number }

/** A Uint8Array, or what is read like one. */
type Bytes = { length: number; at(index: number): number | undefined }

const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]

/** Undefined when the bytes are neither PNG nor JPEG, or end before they tell. */
export function imageSize(bytes: Bytes): ImageSize | undefined {
  if (bytes.length >= 24 && PNG.every((byte, i) => bytes.at(i) === byte))
    return { mediaType: 'image/png', width: number(bytes, 16, 4), height: number(bytes, 20, 4) }
  return bytes.length > 4 && number(bytes, 0, 2) === 0xffd8 ? jpegSize(bytes) : undefined
}

/** Walks the segments up to the frame header (SOF0 to SOF15, but for the three markers among them that are none). */
function jpegSize(bytes: Bytes): ImageSize | undefined {
  for (let at = 2; at + 9 <= bytes.length && bytes.at(at) === 0xff; at += 2 + number(bytes, at + 2, 2)) {
    const marker = bytes.at(at + 1)!
    const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc
    if (isFrame) return { mediaType: 'image/jpeg', width: number(bytes, at + 7, 2), height: number(bytes, at + 5, 2) }
  }
  return undefined
}

/** The highest byte first. */
function number(bytes: Bytes, from: number, length: number): number {
  let value = 0
  for (let i = from; i < from + length; i++) value = value * 256 + bytes.at(i)!
  return value
}

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/** The bytes of base64, each decoded when it is read. */
export function base64Bytes(text: string): Bytes {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  const length = (text.length / 4) * 3 - padding
  const digit = (index: number) => DIGITS.indexOf(text[index]!)
  return {
    length,
    at(index) {
      if (index >= length) return undefined
      const first = Math.floor((index * 8) / 6)
      return (((digit(first) << 6) | digit(first + 1)) >> (4 - ((index * 8) % 6))) & 255
    },
  }
}
