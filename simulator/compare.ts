/** The market against other ways to match, on the same work: how long tasks wait, what is paid, and who gets how much. */
import { advance, after, at, createAgenda } from './agenda.ts'
import type { Traces } from './load.ts'
import { BASELINES, baseline, type Matcher, market, type Start } from './matchers.ts'
import { MIXES, type Mix, type MixName, mixOf } from './mix.ts'
import { READ } from './plan.ts'
import { quantiles } from './tally.ts'

export type Score = {
  matcher: string
  /** From its submission until work on it begins, its model loaded, ms. */
  waitP50: number
  waitP95: number
  waitMost: number
  /** Mean price of a unit, in millionths of a token. */
  price: number
  /** Jain's index of what requesters got until the last task came, each against its max-min fair share of what all got. */
  fairness: number
  /** Models that were loaded. */
  loads: number
}

export type Comparison = { mix: MixName; scores: Score[] }

export const compare = (seed: number, tasks: number, traces: Traces): Comparison[] =>
  MIXES.map((name) => {
    const mix = mixOf(name, seed, tasks, traces)
    const others = Object.keys(BASELINES).map((matcher) => scoreOf(matcher, mix, baseline(matcher, mix, seed)))
    return { mix: name, scores: [scoreOf('market', mix, market(mix)), ...others] }
  })

function scoreOf(matcher: string, mix: Mix, { submit, finish }: Matcher): Score {
  const agenda = createAgenda(0)
  const loaded = new Map<number, string>()
  const waits: number[] = []
  const served = new Array<number>(mix.requesters).fill(0)
  const last = mix.jobs.at(-1)!.at
  let paid = 0
  let units = 0
  let loads = 0

  function begin(start: Start): void {
    const { job, machine } = start
    const cold = loaded.get(machine.n) !== job.model
    const loadMs = cold ? machine.loadMs : 0
    if (cold) loads++
    loaded.set(machine.n, job.model)
    waits.push(agenda.now - job.at + loadMs)
    paid += machine.ask * job.units
    units += job.units
    const runMs = ((job.size.in * READ + job.size.out) / machine.speed) * 1000
    after(agenda, loadMs + runMs, () => {
      if (agenda.now <= last) served[job.requester]! += 1
      for (const next of finish(start, agenda.now)) begin(next)
    })
  }

  for (const job of mix.jobs) {
    at(agenda, job.at, () => {
      for (const start of submit(job, agenda.now)) begin(start)
    })
  }
  while (advance(agenda));
  if (waits.length !== mix.jobs.length) throw new Error(`${matcher} starved ${mix.jobs.length - waits.length} tasks`)
  const [waitP50, waitP95, waitMost] = quantiles(waits, [0.5, 0.95, 1]) as [number, number, number]
  return { matcher, waitP50, waitP95, waitMost, price: paid / units / 1e12, fairness: fairnessOf(mix, served), loads }
}

function fairnessOf({ jobs, requesters }: Mix, served: number[]): number {
  const asked = new Array<number>(requesters).fill(0)
  for (const { requester } of jobs) asked[requester]! += 1
  const shares = fairShares(
    asked,
    served.reduce((sum, n) => sum + n, 0),
  )
  return jain(served.map((n, i) => n / shares[i]!))
}

/** Max-min fair shares of `total`: nobody gets more than it asked for, and what that leaves is split evenly. */
export function fairShares(asked: number[], total: number): number[] {
  const shares = asked.map(() => 0)
  let left = total
  const order = asked.map((_, i) => i).sort((x, y) => asked[x]! - asked[y]!)
  order.forEach((i, done) => {
    shares[i] = Math.min(asked[i]!, left / (order.length - done))
    left -= shares[i]!
  })
  return shares
}

/** Jain's fairness index: 1 when all are equal, 1/n when one has all. */
export function jain(values: number[]): number {
  const sum = values.reduce((total, value) => total + value, 0)
  const squares = values.reduce((total, value) => total + value * value, 0)
  return squares === 0 ? 1 : (sum * sum) / (values.length * squares)
}

/** How the market stands against the baseline whose waits are the shortest: 0.3 is 30 % less. */
export function gainOf({ scores }: Comparison): { best: string; wait: number; price: number } {
  const [own, ...others] = scores as [Score, ...Score[]]
  const best = others.reduce((least, one) => (one.waitP95 < least.waitP95 ? one : least))
  const less = (mine: number, theirs: number) => (theirs === 0 ? 0 : 1 - mine / theirs)
  return { best: best.matcher, wait: less(own.waitP95, best.waitP95), price: less(own.price, best.price) }
}
