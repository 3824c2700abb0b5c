/** Makes images twice as wide and twice as high by a small ESRGAN on WebAssembly; the same image gives the same bytes, which the probe sees to. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { InputOf, OutputOf } from '#core/protocol/work.ts'
import { type Model, modelFiles, openModel } from '../layers-model.ts'
import { measure } from '../measure.ts'
import { type Picture, readPicture, writePng } from '../picture.ts'
import { type Runner, RunnerError } from '../runner.ts'
import { weightsDigest } from '../weights.ts'

export const kind = 'image.upscale'
export const model = 'esrgan-slim-2x'

const SCALE = 2
/** Side of what is computed at once: more takes more memory, less more of it twice. */
const TILE = 128
/** As far as the model looks around a pixel. With so much around it a tile comes out as it would of the whole image, to the bit. */
const MARGIN = 10
/** The model, and the picture it is probed with. The package's program, and TensorFlow.js for it, are not used (`overrides` in package.json). */
const PACKAGE = join(dirname(createRequire(import.meta.url).resolve('@upscalerjs/default-model')), '../../../../..')
const FOLDER = join(PACKAGE, 'models')
const PROBE_SHA256 = 'b5477014fa17cc2fcb16f0662a7e3f57dba0916a75b098f228bb358def1a895c'

export async function createRunner(): Promise<Runner> {
  const enlarge = await openModel(FOLDER)

  const run: Runner['run'] = async (input, { signal }) => {
    const picture = read(input as InputOf<typeof kind>)
    const { width, height } = picture
    const larger = await upscale(enlarge, picture, signal)
    const output: OutputOf<typeof kind> = {
      image: writePng(larger).toString('base64'),
      width: SCALE * width,
      height: SCALE * height,
    }
    return { output, usage: { inputTokens: 0, outputTokens: 0 } }
  }

  return {
    kind,
    model,
    concurrency: 1,
    load: async () => {},
    run,
    async probe(signal) {
      const photo = await readFile(join(PACKAGE, 'assets/fixture.png'))
      const input = { image: photo.toString('base64'), mediaType: 'image/png' }
      await measure(run, kind, input, signal) // the first call compiles
      const { speed, output } = await measure(run, kind, input, signal)
      const digest = createHash('sha256')
        .update(output.image as string)
        .digest('hex')
      if (digest !== PROBE_SHA256)
        throw new RunnerError('wrong_answer', 'the test image came out otherwise than on other machines')
      return { speed, digest: await weightsDigest(modelFiles(FOLDER)) }
    },
    close: async () => {},
  }
}

/** The image, which is small enough by INPUTS. */
function read({ image, mediaType }: InputOf<typeof kind>): Picture {
  try {
    return readPicture(Buffer.from(image, 'base64'), mediaType)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new RunnerError('unreadable_image', `the image cannot be read: ${why}`)
  }
}

async function upscale(enlarge: Model, picture: Picture, signal: AbortSignal): Promise<Picture> {
  const { channels } = picture
  const [width, height] = [SCALE * picture.width, SCALE * picture.height]
  const larger: Picture = { width, height, channels, data: new Uint8Array(width * height * channels) }
  for (const tile of tilesOf(picture)) {
    signal.throwIfAborted()
    upscaleTile(enlarge, picture, tile, COLOURS, larger)
    if (channels === 4) upscaleTile(enlarge, picture, tile, OPACITY, larger)
    // The model computes in one piece; an abort can only come in between.
    await setImmediate()
  }
  return larger
}

/** Up to `right` and `bottom`, which are outside. */
type Area = { left: number; top: number; right: number; bottom: number }

function* tilesOf({ width, height }: Picture): Generator<Area> {
  for (let top = 0; top < height; top += TILE)
    for (let left = 0; left < width; left += TILE)
      yield { left, top, right: Math.min(left + TILE, width), bottom: Math.min(top + TILE, height) }
}

/** The model takes three channels, and knows colours alone: opacity goes through it as a grey. */
const COLOURS = [0, 1, 2]
const OPACITY = [3, 3, 3]

function upscaleTile(enlarge: Model, picture: Picture, tile: Area, channels: number[], larger: Picture): void {
  const left = Math.max(tile.left - MARGIN, 0)
  const top = Math.max(tile.top - MARGIN, 0)
  const right = Math.min(tile.right + MARGIN, picture.width)
  const bottom = Math.min(tile.bottom + MARGIN, picture.height)
  const seen: number[] = []
  for (let y = top; y < bottom; y++)
    for (let x = left; x < right; x++)
      for (const channel of channels) seen.push(picture.data[placeOf(picture, x, y) + channel]!)
  const made = Uint8ClampedArray.from(enlarge(Float32Array.from(seen), bottom - top, right - left))
  for (let y = SCALE * tile.top; y < SCALE * tile.bottom; y++)
    for (let x = SCALE * tile.left; x < SCALE * tile.right; x++) {
      const from = 3 * ((y - SCALE * top) * SCALE * (right - left) + x - SCALE * left)
      for (const [i, channel] of channels.entries()) larger.data[placeOf(larger, x, y) + channel] = made[from + i]!
    }
}

const placeOf = ({ width, channels }: Picture, x: number, y: number): number => (y * width + x) * channels
