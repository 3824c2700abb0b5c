/** What image.upscale takes. Apart from the schemas, so that pricing, which browsers load, comes without them. */
import { base64Bytes, imageSize, type MediaType } from './image-size.ts'

/**
 * As 160 x 128 has. Its double as PNG, in base64, is at most 24 characters for each of them, when the image is one column with opacity
 * and compresses not at all; a market, which counts two bytes a character, takes half a million as a result.
 */
export const UPSCALE_PIXELS = 20_480

/** The pixels of an image in base64 that may be upscaled. */
export function pixelsOf(base64: string): number {
  const { width, height } = imageSize(base64Bytes(base64))!
  return width * height
}

/** What is wrong with the input of image.upscale, by the field that is; undefined when nothing is. */
export function upscaleFault(input: { image: string; mediaType: MediaType }): [field: string, why: string] | undefined {
  const size = imageSize(base64Bytes(input.image))
  if (!size) return ['image', 'must be a PNG or JPEG']
  const { mediaType, width, height } = size
  if (mediaType !== input.mediaType) return ['mediaType', `must be ${mediaType}, which the image is`]
  if (width * height === 0) return ['image', 'must have a width and a height']
  if (width * height <= UPSCALE_PIXELS) return undefined
  return ['image', `must have at most ${UPSCALE_PIXELS} pixels, as 160 x 128 has; it has ${width} x ${height}`]
}
