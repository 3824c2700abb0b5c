/**
 * `npm run screenshots [-- --edge URL] [--out DIR]`: the dashboard of a running network, phone and wide, dark and light.
 * The pictures in the README come from it.
 */
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { launchBrowser } from './browser.ts'

const { values } = parseArgs({
  options: {
    edge: { type: 'string', default: 'http://127.0.0.1:8787' },
    out: { type: 'string', default: 'screenshots' },
  },
})

const SIZES = [
  { name: 'wide', width: 1440, height: 1000 },
  { name: 'phone', width: 390, height: 844 },
] as const

const folder = resolve(values.out)
await mkdir(folder, { recursive: true })
for (const { name, ...viewport } of SIZES) {
  for (const colorScheme of ['dark', 'light'] as const) {
    // This Chromium runs in one process, which does not outlive its page.
    const browser = await launchBrowser()
    const page = await browser.newPage({ viewport, colorScheme, reducedMotion: 'reduce' })
    await page.goto(values.edge)
    await page.getByText('Live', { exact: true }).waitFor()
    const path = join(folder, `overview-${name}-${colorScheme}.png`)
    await page.screenshot({ path })
    console.log(path)
    await browser.close()
  }
}
