/**
 * Match: decisions a second of the market's matching on one core, with price, reputation, region and deadline in play.
 * A decision is one provider taking its best open task (the next task then comes in), or one new task finding its best
 * waiting provider; the two are timed in equal numbers. Regret is measured against a look at every candidate.
 */
import { createFairness, type Fairness, stamp } from '../../core/fairness.ts'
import {
  addSupply,
  addWant,
  bestSupply,
  bestWant,
  createMatching,
  exclusion,
  type Matching,
  merit,
  PREFERENCES,
  removeWant,
  type Supply,
  setRoom,
  type Want,
} from '../../core/matching.ts'
import { type Address, Region } from '../../core/protocol/values.ts'
import type { Kind } from '../../core/protocol/work.ts'
import { mulberry32 } from '../support/random.ts'
import { type Bench, type Figures, judge, type Limit } from './bench.ts'

const LIMITS: Limit[] = [
  { figure: 'match.decisions_per_s_1e5x1e4', op: '>=', limit: 100_000 },
  { figure: 'match.p99_us_1e5x1e4', op: '<=', limit: 100 },
  { figure: 'match.slowdown_1e3_1e5', op: '<=', limit: 4 },
  { figure: 'match.bytes_per_task', op: '<=', limit: 400 },
  { figure: 'match.regret', op: '<=', limit: 0 },
]

const MODELS = 200
const REQUESTERS = 500
const KIND: Kind = 'llm.chat'

const NOBODY: readonly Address[] = []
/** Providers at work at any time. */
const BUSY = 50

type Random = () => number

export const bench: Bench = {
  name: 'match',
  async run({ quick, log }) {
    const seed = Date.now() % 2 ** 32
    log(`seed ${seed}`)
    const random = mulberry32(seed)
    const decisions = quick ? 20_000 : 200_000
    // First, while the heap holds nothing that could go meanwhile.
    const figures: Figures = { 'match.bytes_per_task': bytesPerTask(random) }
    const sizes: [label: string, tasks: number, providers: number][] = [
      ['1e3x1e2', 1e3, 1e2],
      ['1e4x1e3', 1e4, 1e3],
      ['1e5x1e4', 1e5, 1e4],
    ]
    for (const [label, tasks, providers] of sizes) {
      const { perSecond, p99 } = decide(random, tasks, providers, decisions)
      figures[`match.decisions_per_s_${label}`] = Math.round(perSecond)
      figures[`match.p99_us_${label}`] = Number(p99.toFixed(1))
      log(`${label}  ${Math.round(perSecond)} decisions/s, p99 ${p99.toFixed(1)} us`)
    }
    figures['match.slowdown_1e3_1e5'] = Number(
      (figures['match.decisions_per_s_1e3x1e2']! / figures['match.decisions_per_s_1e5x1e4']!).toFixed(2),
    )
    figures['match.regret'] = regret(random, quick ? 200 : 2_000)
    return { figures, bars: judge(figures, LIMITS) }
  },
}

/** Half of the decisions pull from a full queue, half place into a full house. */
function decide(random: Random, tasks: number, providers: number, decisions: number) {
  const micros = new Float64Array(decisions)
  const queue = createMatching()
  const house = createMatching()
  const fairness = createFairness()
  const taken: Supply[] = []
  let seq = 0
  for (; seq < tasks; seq++) addWant(queue, randomWant(random, fairness, seq))
  const supplies = Array.from({ length: providers }, (_, i) => randomSupply(random, i))
  for (const supply of supplies) addSupply(house, supply)
  for (let warm = 0; warm < Math.min(decisions, 20_000); warm += 2) step(warm)
  let busy = 0
  for (let i = 0; i < decisions; i++) {
    const want = randomWant(random, fairness, ++seq)
    const supply = supplies[Math.floor(random() * providers)]!
    const from = process.hrtime.bigint()
    if (i % 2 === 0) pull(queue, supply, want)
    else settle(house, taken, want)
    const took = Number(process.hrtime.bigint() - from) / 1000
    micros[i] = took
    busy += took
  }
  micros.sort()
  return { perSecond: decisions / (busy / 1e6), p99: micros[Math.floor(decisions * 0.99)]! }

  function step(i: number): void {
    pull(queue, supplies[i % providers]!, randomWant(random, fairness, ++seq))
    settle(house, taken, randomWant(random, fairness, ++seq))
  }
}

/** A provider with a free slot takes its best task; another task comes in. */
function pull(queue: Matching, supply: Supply, next: Want): void {
  const match = bestWant(queue, supply, 0)
  if (match) removeWant(queue, match.want)
  addWant(queue, next)
}

/** A task takes the last slot of its best provider; meanwhile another provider has finished. */
function settle(house: Matching, taken: Supply[], want: Want): void {
  const match = bestSupply(house, want, 0)
  if (!match) return
  match.supply.room = 0
  taken.push(match.supply)
  if (taken.length > BUSY) setRoom(house, taken.shift()!, 1)
}

/** Heap that an open task takes in matching: its record, its index node, its place in the queue. */
function bytesPerTask(random: Random): number {
  const collect = globalThis.gc
  if (!collect) throw new Error('run with --expose-gc')
  const tasks = 100_000
  const matching = createMatching()
  const fairness = createFairness()
  collect()
  const before = memory()
  for (let seq = 0; seq < tasks; seq++) addWant(matching, randomWant(random, fairness, seq))
  collect()
  const bytes = (memory() - before) / tasks
  if (matching.queued !== tasks) throw new Error('tasks went missing')
  return Math.round(bytes)
}

function memory(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** The share of decisions on small books that a look at every candidate would have made better. */
function regret(random: Random, books: number): number {
  let worse = 0
  for (let book = 0; book < books; book++) {
    const matching = createMatching()
    const fairness = createFairness()
    const wants = Array.from({ length: 20 }, (_, i) => randomWant(random, fairness, i, 4))
    const supplies = Array.from({ length: 12 }, (_, i) => randomSupply(random, i, 4))
    for (const want of wants) addWant(matching, want)
    for (const supply of supplies) addSupply(matching, supply)
    const supply = supplies[0]!
    const bestTask = wants.filter((want) => exclusion(want, supply, 0) === null).sort(byTurn)[0]
    if (bestWant(matching, supply, 0)?.want !== bestTask) worse++
    const want = wants[0]!
    const candidates = supplies.filter((candidate) => exclusion(want, candidate, 0) === null)
    const found = bestSupply(matching, want, 0)
    const best = Math.max(...candidates.map((candidate) => bestMerit(want, candidate)))
    if (found ? bestMerit(want, found.supply) < best : candidates.length > 0) worse++
  }
  return worse / (books * 2)
}

const byTurn = (x: Want, y: Want) => x.tag - y.tag || x.deadline - y.deadline || x.seq - y.seq

function bestMerit(want: Want, supply: Supply): number {
  const fitting = supply.offers.filter((offer) => exclusion(want, { ...supply, offers: [offer] }, 0) === null)
  return Math.max(...fitting.map((offer) => merit(want.preference, offer)))
}

function randomWant(random: Random, fairness: Fairness, seq: number, models = MODELS): Want {
  const requester = address(Math.floor(random() ** 2 * REQUESTERS))
  return {
    id: `c1-${seq.toString(36).padStart(9, '0')}${Math.floor(random() * 2 ** 40).toString(36)}`,
    seq,
    requester,
    kind: KIND,
    model: model(random, models),
    variant: null,
    bid: BigInt(Math.floor(1e12 * (1 + random() * 99))),
    preference: PREFERENCES[Math.floor(random() * PREFERENCES.length)]!,
    minReputation: Math.floor(random() * 90) / 100,
    minContext: 0,
    region: random() < 0.3 ? Region.options[Math.floor(random() * 4)]! : null,
    exclude: NOBODY,
    tag: stamp(fairness, requester),
    deadline: Math.floor(random() * 600_000),
    avoid: NOBODY,
    avoidUntil: 0,
    drawn: null,
    queued: false,
  }
}

function randomSupply(random: Random, seq: number, models = MODELS): Supply {
  const reputation = Math.floor(random() * 100) / 100
  const offers = Array.from({ length: 1 + Math.floor(random() * 6) }, () => ({
    kind: KIND,
    model: model(random, models),
    ask: BigInt(Math.floor(1e12 * (1 + random() * 59))),
    speed: 10 + random() * 1000,
    context: 8192,
    digest: null,
    bits: 0,
    capabilities: [],
    warm: false,
    reputation,
    hope: null,
  }))
  const region = Region.options[Math.floor(random() * 4)]!
  return { seq, address: address(REQUESTERS + seq), region, offers, room: 1, places: [], loaded: null, streak: 0 }
}

/** A few models are asked for much more than the rest. */
const model = (random: Random, models: number) => `model-${Math.floor(random() * random() * models)}`

const addresses = new Map<number, Address>()
function address(n: number): Address {
  const known = addresses.get(n) ?? (`0x${n.toString(16).padStart(40, '0')}` as Address)
  addresses.set(n, known)
  return known
}
