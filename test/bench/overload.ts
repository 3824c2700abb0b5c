/**
 * Overload: requesters that ask for five times what the providers can do, each task wanted within a few seconds: how much of what can
 * be done is still done in time, and how soon the rest is told no. And one who asks for that much beside others who ask for little:
 * what it costs them. Providers are what is short here, as on any network whose edge is worth having: an edge's own processor is
 * bounded by limits of calls instead (docs/security.md).
 */
import { join } from 'node:path'
import { openRequester } from '../../scripts/requester.ts'
import { MODEL, registerProviders } from './agents.ts'
import { type Bench, type Figures, judge, type Limit } from './bench.ts'
import { type Answer, request } from './http.ts'
import { driveOpen, type OpenLoad, type OpenTimes } from './open-load.ts'
import { startTimedAgents } from './timed-agents.ts'
import { inWorld } from './world.ts'

const LIMITS: Limit[] = [
  { figure: 'overload.goodput_5x', op: '>=', limit: 0.8 },
  { figure: 'overload.others_beside_hitter', op: '>=', limit: 0.95 },
]

const AGENTS = 16
const WORK_MS = 150
/** What the providers can do in a second. */
const CAPACITY = AGENTS / (WORK_MS / 1000)
const TIMES = 5
const REQUESTERS = 4
/** Of the capacity that the others ask for together, beside the one who asks for too much. */
const OTHERS = 0.5

const TASK = {
  kind: 'llm.chat',
  model: MODEL,
  input: { messages: [{ role: 'user', content: 'Say hello.' }], max_tokens: 40 },
  maxPrice: '0.000001',
  deadlineSeconds: 4,
}

export const bench: Bench = {
  name: 'overload',
  run({ quick, log }) {
    return inWorld(async ({ edge, state }) => {
      const keys: string[] = []
      for (let i = 0; i <= REQUESTERS; i++) {
        keys.push((await openRequester(edge.url, join(state, `requester-${i}`))).apiKey)
      }
      const agents = await startTimedAgents(edge.url, await registerProviders(edge.url, AGENTS, 1), WORK_MS)
      const times: OpenTimes = { warmSeconds: 4, seconds: quick ? 6 : 20 }
      const ask = (key: string, share: number) => {
        const url = new URL('/v1/tasks?waitSeconds=10', edge.url)
        const call = request('POST', url, { authorization: `Bearer ${key}` }, JSON.stringify(TASK))
        return driveOpen(url, [call], CAPACITY * share, times, nameOf)
      }
      const askAll = (shares: number[]) =>
        Promise.race([Promise.all(shares.map((share, i) => ask(keys[i]!, share))), agents.failed])
      const others = new Array<number>(REQUESTERS).fill(OTHERS / REQUESTERS)

      const full = summed(await askAll(new Array(REQUESTERS).fill(1 / REQUESTERS)))
      const wasted = agents.wasted()
      const over = summed(await askAll(new Array(REQUESTERS).fill(TIMES / REQUESTERS)))
      const late = agents.wasted() - wasted
      const alone = summed(await askAll(others))
      const beside = summed((await askAll([...others, TIMES])).slice(0, REQUESTERS))
      agents.stop()
      log(`what the providers can do: ${told(full)}`)
      log(`asked for ${TIMES} times as much: ${told(over)}; ${late} results came too late`)
      log(`others alone: ${told(alone)}`)
      log(`beside one who asks for ${TIMES} times what can be done: ${told(beside)}`)
      const figures: Figures = {
        'overload.goodput_5x': round(over.perSecond.succeeded / full.perSecond.succeeded),
        'overload.refused_p50_ms': round(over.refusedMs),
        'overload.in_time_p99_ms': round(over.p99),
        'overload.others_beside_hitter': round(beside.perSecond.succeeded / alone.perSecond.succeeded),
        'overload.others_p99_ms': round(alone.p99),
        'overload.others_p99_ms_beside_hitter': round(beside.p99),
      }
      return { figures, bars: judge(figures, LIMITS) }
    })
  },
}

const OUTCOMES = ['succeeded', 'expired', 'refused'] as const

function nameOf({ status, body }: Answer): (typeof OUTCOMES)[number] {
  const text = body.toString('latin1')
  if (status === 201) return text.includes('"status":"succeeded"') ? 'succeeded' : 'expired'
  if (status === 429 || status === 503) return 'refused'
  throw new Error(`submit answered ${status}: ${text.slice(0, 500)}`)
}

type Sum = { perSecond: Record<(typeof OUTCOMES)[number], number>; p50: number; p99: number; refusedMs: number }

/** What came of all loads; of the times the worst of any requester. */
function summed(loads: OpenLoad[]): Sum {
  const sum = (name: string) => loads.reduce((total, load) => total + load.perSecond(name), 0)
  const most = (name: string, q: number) => Math.max(...loads.map((load) => load.ms(name, q)))
  return {
    perSecond: { succeeded: sum('succeeded'), expired: sum('expired'), refused: sum('refused') },
    p50: most('succeeded', 0.5),
    p99: most('succeeded', 0.99),
    refusedMs: most('refused', 0.5),
  }
}

const told = ({ perSecond, p50, p99, refusedMs }: Sum): string =>
  `${OUTCOMES.map((name) => `${name} ${round(perSecond[name])}/s`).join(', ')}; p50 ${round(p50)} ms, p99 ${round(p99)} ms${
    Number.isNaN(refusedMs) ? '' : `, refused in ${round(refusedMs)} ms`
  }`

const round = (value: number): number => Number(value.toPrecision(3))
