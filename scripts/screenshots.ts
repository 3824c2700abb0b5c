/**
 * `npm run screenshots [-- --edge URL] [--out DIR]`: the dashboard of a running network, phone and wide, dark and light.
 * The pictures in the README come from it.
 */
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { ProviderList } from '../core/directory.ts'
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

const PAGES = [
  { page: 'overview', path: '/' },
  { page: 'playground', path: '/playground' },
  { page: 'tasks', path: '/tasks' },
  { page: 'providers', path: '/providers' },
  { page: 'market', path: '/market' },
  { page: 'provide', path: '/provide' },
  { page: 'account', path: '/account' },
  { page: 'governance', path: '/governance' },
  { page: 'guide', path: '/guide/client' },
  { page: 'docs', path: '/docs' },
  { page: 'status', path: '/status' },
] as const

const { providers } = (await (await fetch(new URL('/v1/providers', values.edge))).json()) as ProviderList
const pages: { page: string; path: string }[] = [...PAGES]
if (providers[0]) pages.push({ page: 'provider', path: `/provider?address=${providers[0].address}` })

const folder = resolve(values.out)
await mkdir(folder, { recursive: true })
for (const { name, ...viewport } of SIZES) {
  for (const colorScheme of ['dark', 'light'] as const) {
    for (const { page, path } of pages) {
      // This Chromium runs in one process, which does not outlive its page.
      const browser = await launchBrowser()
      const tab = await browser.newPage({ viewport, colorScheme, reducedMotion: 'reduce' })
      await tab.goto(new URL(path, values.edge).href)
      await tab.getByText('Live', { exact: true }).waitFor()
      const file = join(folder, `${page}-${name}-${colorScheme}.png`)
      await tab.screenshot({ path: file })
      console.log(file)
      await browser.close()
    }
  }
}
