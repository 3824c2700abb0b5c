/**
 * The dashboard in a real browser: what its overview loads, when it stands and whether it jumps, and how many frames a second are
 * drawn while a thousand events a second come, each in a frame of its own, four hundred times what the feed sends.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Browser, Page } from 'playwright-core'
import { type WebSocket, WebSocketServer } from 'ws'
import { connect } from '../../client/daicn.ts'
import type { NetworkFrame, NetworkSnapshot } from '../../core/protocol/network.ts'
import { launchBrowser } from '../../scripts/browser.ts'
import { buildWeb } from '../../scripts/build.ts'
import { openRequester } from '../../scripts/requester.ts'
import { MODEL, registerProviders, startAgents } from './agents.ts'
import { type Bench, type Figures, judge, type Limit } from './bench.ts'
import { median } from './load.ts'
import { inWorld, type World } from './world.ts'

const LIMITS: Limit[] = [
  { figure: 'web.js_kb', op: '<=', limit: 120 },
  { figure: 'web.lcp_ms', op: '<=', limit: 1500 },
  { figure: 'web.cls', op: '<=', limit: 0.05 },
  { figure: 'web.fps_1000', op: '>=', limit: 58 },
]

const LOADS = 5
const TASKS = 30
const EVENTS_A_SECOND = 1000
const EVENTS_SECONDS = 10

export const bench: Bench = {
  name: 'web',
  async run({ quick, log }) {
    // Before the edge, which knows the files that are there when it starts.
    await buildWeb()
    return inWorld(async (world) => {
      await populate(world)
      const figures: Figures = {}
      const loads = []
      for (let i = 0; i < (quick ? 1 : LOADS); i++) loads.push(await inPage((page) => load(page, world.edge.url)))
      figures['web.js_kb'] = Math.max(...loads.map(({ jsKb }) => jsKb))
      figures['web.lcp_ms'] = Math.round(median(loads.map(({ lcpMs }) => lcpMs)))
      figures['web.cls'] = Math.max(...loads.map(({ cls }) => cls))
      log(`largest paint after ${loads.map(({ lcpMs }) => Math.round(lcpMs)).join(', ')} ms`)
      const driven = await inPage((page) => drive(page, world.edge.url))
      figures['web.fps_1000'] = driven.fps
      log(`${driven.events} events in ${EVENTS_SECONDS} s; 99 % of the frames within ${driven.p99Ms} ms`)
      return { figures, bars: judge(figures, LIMITS) }
    })
  },
}

/** One provider and what it did, so that every card of the overview has something to show. */
async function populate(world: World): Promise<void> {
  const agents = await startAgents(world.edge.url, await registerProviders(world.edge.url, 1, 4), 4)
  const { apiKey } = await openRequester(world.edge.url, join(world.state, 'requester'))
  const daicn = connect({ edge: world.edge.url, key: apiKey })
  const input = { messages: [{ role: 'user' as const, content: 'Hello' }] }
  for (let i = 0; i < TASKS; i++) await daicn.run({ kind: 'llm.chat', model: MODEL, input })
  await agents.stop()
}

/** A browser for each, so that nothing is cached from the one before. */
async function inPage<T>(work: (page: Page) => Promise<T>): Promise<T> {
  const browser: Browser = await launchBrowser()
  try {
    return await work(await browser.newPage({ viewport: { width: 1440, height: 1000 } }))
  } finally {
    await browser.close()
  }
}

/** What a first visit loads and shows; `lcpMs` is from the navigation, `jsKb` compressed. */
async function load(page: Page, url: string) {
  const scripts: Promise<Buffer>[] = []
  page.on('response', (response) => {
    if (response.headers()['content-type']?.includes('javascript')) scripts.push(response.body())
  })
  await page.addInitScript(() => {
    const seen = { lcpMs: 0, cls: 0 }
    Object.assign(globalThis, { seen })
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) seen.lcpMs = entry.startTime
    }).observe({ type: 'largest-contentful-paint', buffered: true })
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as (PerformanceEntry & { value: number })[]) seen.cls += entry.value
    }).observe({ type: 'layout-shift', buffered: true })
  })
  await page.goto(url)
  await page.getByRole('table', { name: 'Latest tasks' }).waitFor()
  await page.getByRole('table', { name: 'Prices and forecasts' }).waitFor()
  await page.waitForTimeout(1000)
  const seen = await page.evaluate(() => (globalThis as unknown as { seen: { lcpMs: number; cls: number } }).seen)
  const bytes = (await Promise.all(scripts)).reduce((sum, body) => sum + gzipSync(body).length, 0)
  return { lcpMs: seen.lcpMs, cls: Number(seen.cls.toFixed(4)), jsKb: Math.round(bytes / 100) / 10 }
}

/** Stands before the edge and speaks for its feed: an event is a task more, which moves every row of the latest. */
async function drive(page: Page, url: string) {
  const { metrics, ...rest } = (await (await fetch(new URL('/v1/network', url))).json()) as NetworkSnapshot
  const front = createServer(async ({ url: path = '/' }, answer) => {
    const its = await fetch(new URL(path, url))
    const headers = [...its.headers].filter(([name]) => !['content-encoding', 'content-length'].includes(name))
    answer.writeHead(its.status, Object.fromEntries(headers)).end(Buffer.from(await its.arrayBuffer()))
  })
  let events = 0
  const feed = new WebSocketServer({ noServer: true })
  const tell = (socket: WebSocket) => {
    const send = (frame: NetworkFrame) => socket.send(JSON.stringify(frame))
    send({ type: 'snapshot', seq: 0, snapshot: { ...rest, metrics } })
    const began = performance.now()
    let { latest } = rest
    const timer = setInterval(() => {
      const due = Math.floor(((performance.now() - began) / 1000) * EVENTS_A_SECOND)
      for (let seq = events + 1; seq <= due; seq++) {
        latest = [{ ...latest.at(-1)!, id: `event-${seq}` }, ...latest.slice(0, -1)]
        const totalTasks = metrics.totalTasks + seq
        send({ type: 'delta', seq, changes: { at: Date.now(), metrics: { ...metrics, totalTasks }, latest } })
      }
      events = Math.max(events, due)
    }, 5)
    socket.on('close', () => clearInterval(timer))
  }
  front.on('upgrade', (request, raw, head) => feed.handleUpgrade(request, raw, head, tell))
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve))
  try {
    await page.goto(`http://127.0.0.1:${(front.address() as AddressInfo).port}`)
    await page.getByRole('table', { name: 'Latest tasks' }).waitFor()
    await page.waitForTimeout(1000)
    const gaps = await page.evaluate(async (ms) => {
      const frames: number[] = []
      for (const end = performance.now() + ms; performance.now() < end; ) {
        frames.push(await new Promise<number>(requestAnimationFrame))
      }
      return frames.slice(1).map((at, i) => at - frames[i]!)
    }, EVENTS_SECONDS * 1000)
    const sorted = gaps.toSorted((x, y) => x - y)
    const took = gaps.reduce((sum, gap) => sum + gap, 0)
    return {
      events,
      fps: Math.round((gaps.length / took) * 10_000) / 10,
      p99Ms: Math.round(sorted[Math.floor(sorted.length * 0.99)]!),
    }
  } finally {
    await page.goto('about:blank')
    front.close()
  }
}
