/** A real browser from npm alone. */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import sparticuz, { inflate } from '@sparticuz/chromium'
import { type Browser, chromium } from 'playwright-core'

/** Nothing here has a graphics card, and its stand-in costs half the machine. */
const ARGS = ['--no-sandbox', '--disable-gpu', '--font-render-hinting=none']
const BIN = fileURLToPath(new URL('../bin/', import.meta.resolve('@sparticuz/chromium')))

/** Starts Chromium; a machine without the libraries that it wants gets the copies in its package. */
export async function launchBrowser(): Promise<Browser> {
  const executablePath = await sparticuz.executablePath()
  const launch = (env?: Record<string, string>) =>
    chromium.launch({ executablePath, args: ARGS, headless: true, ...(env && { env }) })
  try {
    return await launch()
  } catch (error) {
    if (!String(error).includes('shared libraries')) throw error
    await inflate(join(BIN, 'al2023.tar.br'))
    return launch({ ...(process.env as Record<string, string>), LD_LIBRARY_PATH: join(tmpdir(), 'al2023', 'lib') })
  }
}
