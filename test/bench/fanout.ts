/**
 * Fan-out: what one task's stream and the network's feed tell to many sockets: whether all of it comes, also over a SIGKILL of the edge,
 * how fast, and after how long; with --peers beside partyserver and socket.io, driven by the same sockets in the same run.
 */
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { call } from '../../client/edge.ts'
import type { NetworkFrame } from '../../core/protocol/network.ts'
import { buildWorker } from '../../scripts/build.ts'
import { openRequester } from '../../scripts/requester.ts'
import { createWorld, type World } from '../support/fault-world.ts'
import { type Bench, type Figures, judge, type Limit } from './bench.ts'
import { quantile } from './load.ts'
import { startFanoutPeer } from './peers.ts'
import { openAuthor } from './stream-author.ts'
import { openSocket, type Sent, type Socket, type Target, watch } from './watchers.ts'

const LIMITS: Limit[] = [1000, 5000].flatMap((count): Limit[] => [
  { figure: `fanout.lost_${count}`, op: '<=', limit: 0 },
  { figure: `fanout.lost_over_reset_${count}`, op: '<=', limit: 0 },
  { figure: `fanout.network_lost_${count}`, op: '<=', limit: 0 },
  { figure: `fanout.ratio_partyserver_${count}`, op: '>=', limit: 1.2 },
  { figure: `fanout.ratio_socketio_p99_${count}`, op: '<=', limit: 1 },
])

const PACED = 20
/** Between two, so that there are 10,000 deliveries a second whatever the number of sockets: what all can carry. */
const paceMs = (count: number): number => count / 10
/** Messages of a burst, so that it is as many deliveries whatever the number of sockets. */
const DELIVERIES = 100_000
const OPENING_MS = 60_000

export const bench: Bench = {
  name: 'fanout',
  async run({ quick, peers, log }) {
    const counts = quick ? [1000] : [1000, 5000]
    const figures: Figures = {}
    await buildWorker()
    for (const count of counts) {
      const own = await inWorld((world) => measureStream(world, count, log))
      Object.assign(figures, figuresOf(own, count))
      figures[`fanout.network_lost_${count}`] = await inWorld((world) => measureFeed(world, count, log))
      if (peers === undefined) continue
      for (const name of ['partyserver', 'socketio'] as const) {
        const peer = await startFanoutPeer(peers, name)
        try {
          const its = await measure(peer.target, count)
          log(`${name}, ${count} sockets: ${told(its.paced)}; burst ${told(its.burst)}`)
          figures[`fanout.${name}_per_s_${count}`] = Math.round(its.burst.perSecond)
          figures[`fanout.${name}_p99_ms_${count}`] = round(its.paced.p99)
          figures[`fanout.ratio_${name}_${count}`] = round(own.burst.perSecond / its.burst.perSecond)
          figures[`fanout.ratio_${name}_p99_${count}`] = round(own.paced.p99 / its.paced.p99)
        } finally {
          await peer.stop()
        }
      }
    }
    return { figures, bars: judge(figures, LIMITS) }
  },
}

type Measured = { paced: Sent; burst: Sent; reset?: Sent }

async function measure(target: Target, count: number, reset?: () => Promise<void>): Promise<Measured> {
  const watched = await watch(target, count)
  await watched.send(3, 50)
  const pace = paceMs(count)
  const paced = await watched.send(PACED, pace)
  const burst = await watched.send(Math.max(20, Math.floor(DELIVERIES / count)), 0)
  if (!reset) {
    watched.close()
    return { paced, burst }
  }
  const sending = watched.send(PACED, pace)
  await wait((PACED * pace) / 2)
  await reset()
  while (watched.closed < count) await wait(10)
  await watched.resume()
  const over = await sending
  watched.close()
  return { paced, burst, reset: over }
}

async function measureStream(world: World, count: number, log: (line: string) => void): Promise<Measured> {
  const { apiKey } = await openRequester(world.url, join(world.folder, 'requester'))
  const author = await openAuthor(world.url, apiKey)
  const target: Target = {
    url: (from) => `${world.url.replace(/^http/, 'ws')}/v1/tasks/${author.task}/socket?after=1.${from}`,
    headers: { authorization: `Bearer ${apiKey}` },
    publish: async (text) => author.write(text),
  }
  try {
    const its = await measure(target, count, async () => void (await world.crash()))
    log(`task, ${count} sockets: ${told(its.paced)}; burst ${told(its.burst)}; over a reset ${told(its.reset!)}`)
    return its
  } finally {
    author.stop()
  }
}

/** @returns how many frames sockets miss by their own count, while tasks come and go */
async function measureFeed(world: World, count: number, log: (line: string) => void): Promise<number> {
  const { apiKey } = await openRequester(world.url, join(world.folder, 'requester'))
  const author = await openAuthor(world.url, apiKey)
  const first: number[] = []
  const last: number[] = []
  const frames: number[] = new Array(count).fill(0)
  const came = new Map<number, { from: number; until: number }>()
  const sockets: Socket[] = []
  const openOne = (i: number) =>
    new Promise<void>((resolve, reject) => {
      const socket = openSocket(`${world.url.replace(/^http/, 'ws')}/v1/network/socket`)
      sockets.push(socket)
      socket.on('message', (data) => {
        const frame = JSON.parse(String(data)) as NetworkFrame
        const now = performance.now()
        if (frame.type === 'snapshot') {
          first[i] = frame.seq
          resolve()
        } else {
          frames[i]!++
          const { from } = came.get(frame.seq) ?? { from: now }
          came.set(frame.seq, { from, until: now })
        }
        last[i] = frame.seq
      })
      socket.on('error', () => reject(new Error('a socket did not open')))
    })
  const began = performance.now()
  for (let i = 0; i < count && performance.now() - began < OPENING_MS; i += 50) {
    await Promise.all(Array.from({ length: Math.min(50, count - i) }, (_, n) => openOne(i + n)))
  }
  const openedMs = performance.now() - began
  const input = { messages: [{ role: 'user', content: 'Wait.' }] }
  const body = { kind: 'llm.chat', model: 'bench/fanout', input }
  for (let task = 0; task < 20; task++) {
    await call({ edge: world.url, key: apiKey }, 'POST', '/v1/tasks', { body })
    await wait(200)
  }
  await wait(2_000)
  for (const socket of sockets) socket.terminate()
  author.stop()
  const latest = Math.max(...last)
  const lost = frames.reduce((sum, got, i) => sum + (latest - first[i]! - got), 0)
  const spreads = [...came.values()].map(({ from, until }) => until - from).sort((x, y) => x - y)
  const spread = `from the first socket to the last ${round(quantile(spreads, 0.5))} ms, 99 % ${round(quantile(spreads, 0.99))} ms`
  log(`network, ${count} sockets: opened in ${Math.round(openedMs)} ms, ${came.size} frames, ${lost} lost, ${spread}`)
  return lost
}

async function inWorld<T>(work: (world: World) => Promise<T>): Promise<T> {
  const world = await createWorld()
  try {
    return await work(world)
  } finally {
    await world.end()
  }
}

const told = ({ lost, twice, p50, p99, perSecond }: Sent): string =>
  `${lost} lost, ${twice} twice, p50 ${round(p50)} ms, p99 ${round(p99)} ms, ${Math.round(perSecond)} a second`

function figuresOf({ paced, burst, reset }: Measured, count: number): Figures {
  return {
    [`fanout.lost_${count}`]: paced.lost + burst.lost,
    [`fanout.lost_over_reset_${count}`]: reset!.lost,
    [`fanout.twice_over_reset_${count}`]: reset!.twice,
    [`fanout.p50_ms_${count}`]: round(paced.p50),
    [`fanout.p99_ms_${count}`]: round(paced.p99),
    [`fanout.deliveries_per_s_${count}`]: Math.round(burst.perSecond),
  }
}

const round = (value: number): number => Number(value.toPrecision(3))
