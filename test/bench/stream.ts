/**
 * Stream: what the market adds to a streamed chat, over a real agent and its runner, against the same upstream asked
 * directly; beside what a bare Hono proxy on the same runtime adds. All three are driven by the same client in turns.
 */
import { join } from 'node:path'
import { openRequester } from '../../scripts/requester.ts'
import { MODEL, spawnTokenServer } from '../support/token-server.ts'
import { startUpstreamAgent } from '../support/upstream-agent.ts'
import { spawnBareWorker } from './bare-worker.ts'
import { type Bench, type Figures, judge, type Limit } from './bench.ts'
import { type Chats, driveChats, type Target } from './chats.ts'
import { median } from './load.ts'
import { inWorld } from './world.ts'

const LIMITS: Limit[] = [
  { figure: 'stream.added_ttft_ms_1', op: '<=', limit: 8 },
  { figure: 'stream.ratio_proxy_ttft_1', op: '<=', limit: 1.5 },
]

const TOKEN_MS = 50
/** More streams have longer chats, so that their beginnings alone do not fill the machine. */
const LOADS = [
  { streams: 1, tokens: 4, seconds: 5 },
  { streams: 32, tokens: 32, seconds: 5 },
  { streams: 256, tokens: 96, seconds: 8 },
]
/** Each takes more slots than a single agent may have. */
const AGENTS = 2
const SLOTS = 256

type Targets = Record<'direct' | 'proxy' | 'edge', Target>
type Sample = Record<keyof Targets, Chats>

export const bench: Bench = {
  name: 'stream',
  run({ quick, log }) {
    return inWorld(async ({ edge, state, own }) => {
      const upstream = own(await spawnTokenServer(TOKEN_MS))
      const proxy = own(await spawnBareWorker('proxy-worker.ts', upstream.url))
      for (let i = 0; i < AGENTS; i++) {
        const plan = { edge: edge.url, upstream: upstream.url, model: MODEL, slots: SLOTS, ask: '0.000000001' }
        own(await startUpstreamAgent({ ...plan, state: join(state, `agent-${i}`) }))
      }
      const { apiKey } = await openRequester(edge.url, join(state, 'requester'))
      const targets = { direct: upstream, proxy, edge: { url: edge.url, apiKey } }
      const figures = await measure(targets, quick, log)
      return { figures, bars: judge(figures, LIMITS) }
    })
  },
}

async function measure(targets: Targets, quick: boolean, log: (line: string) => void): Promise<Figures> {
  const rounds = quick ? 1 : 3
  const samples: Sample[][] = LOADS.map(() => [])
  for (let round = 1; round <= rounds; round++) {
    for (const [i, { streams, tokens, seconds }] of LOADS.entries()) {
      const plan = { model: MODEL, streams, tokens, chatMs: tokens * TOKEN_MS, warmSeconds: 1, seconds }
      const direct = await driveChats(targets.direct, plan)
      const proxy = await driveChats(targets.proxy, plan)
      const edge = await driveChats(targets.edge, plan)
      samples[i]!.push({ direct, proxy, edge })
      const firsts = [direct, proxy, edge].map(({ first, count }) => `${first.toFixed(2)} (${count})`)
      log(`round ${round}/${rounds}  ${streams} streams  first token direct, proxy, edge: ${firsts.join(', ')} ms`)
    }
  }
  return Object.assign({}, ...LOADS.map(({ streams }, i) => summarise(streams, samples[i]!)))
}

/** Medians over the rounds of what was added within each. */
function summarise(streams: number, samples: Sample[]): Figures {
  const over = (value: (sample: Sample) => number) => Number(median(samples.map(value)).toPrecision(3))
  const added = (to: keyof Targets, what: 'first' | 'token') => (sample: Sample) =>
    sample[to][what] - sample.direct[what]
  return {
    [`stream.added_ttft_ms_${streams}`]: over(added('edge', 'first')),
    [`stream.proxy_added_ttft_ms_${streams}`]: over(added('proxy', 'first')),
    [`stream.ratio_proxy_ttft_${streams}`]: over((s) => added('edge', 'first')(s) / added('proxy', 'first')(s)),
    [`stream.added_ms_per_token_${streams}`]: over(added('edge', 'token')),
    [`stream.proxy_added_ms_per_token_${streams}`]: over(added('proxy', 'token')),
    [`stream.direct_ttft_ms_${streams}`]: over(({ direct }) => direct.first),
    [`stream.direct_ms_per_token_${streams}`]: over(({ direct }) => direct.token),
  }
}
