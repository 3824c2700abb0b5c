/** Reads printed English by Tesseract on WebAssembly. */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { imageSize } from '#core/image-size.ts'
import { measure } from '../measure.ts'
import { type Runner, RunnerError, type RunnerInput } from '../runner.ts'
import { weightsDigest } from '../weights.ts'

export const kind = 'doc.ocr'
export const model = 'tesseract-eng'

/** A page at 600 dpi has 35 million pixels; more would only fill the memory. */
const MAX_PIXELS = 40e6
const PROBE_TEXT = 'Compute at the edge,\nfor anyone who asks,\nfrom anyone who has it.'

export async function createRunner(): Promise<Runner> {
  const { default: tesseract } = await import('tesseract.js')
  const data = join(
    dirname(createRequire(import.meta.url).resolve('@tesseract.js-data/eng/package.json')),
    '4.0.0_best_int',
  )
  const worker = await tesseract.createWorker('eng', tesseract.OEM.LSTM_ONLY, {
    langPath: data,
    gzip: true,
    cacheMethod: 'none',
    // Each failure also rejects its call; without a handler it would be thrown a second time, at nobody.
    errorHandler: () => {},
  })

  const run: Runner['run'] = async (input) => {
    const bytes = Buffer.from((input as RunnerInput<typeof kind>).image)
    const size = imageSize(bytes)
    if (!size) throw new RunnerError('invalid_input', 'the image is neither a PNG nor a JPEG')
    if (size.width * size.height > MAX_PIXELS)
      throw new RunnerError('invalid_input', `the image has more than ${MAX_PIXELS / 1e6} million pixels`)
    const { data: page } = await worker.recognize(bytes).catch((error: unknown) => {
      throw new RunnerError('unreadable_image', `the image cannot be read (${error})`)
    })
    const confidence = Math.min(Math.max(page.confidence / 100, 0), 1)
    return { output: { text: page.text.trim(), confidence }, usage: { inputTokens: 0, outputTokens: 0 } }
  }

  return {
    kind,
    model,
    concurrency: 1,
    load: async () => {},
    run,
    async probe(signal) {
      const image = await readFile(new URL('probe.png', import.meta.url))
      const input = { image, mediaType: 'image/png' }
      const { speed, output } = await measure(run, kind, input, signal)
      if (output.text !== PROBE_TEXT)
        throw new RunnerError('wrong_answer', `the test page was read as ${JSON.stringify(output.text)}`)
      return { speed, digest: await weightsDigest([join(data, 'eng.traineddata.gz')]) }
    },
    close: async () => {
      await worker.terminate()
    },
  }
}
