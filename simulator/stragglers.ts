/**
 * What second attempts are worth where providers are slow now and then, or go without a word: the same run twice, for requesters who
 * let a late task have one, and for those who want it cheap and so have none. All providers ask and promise the same, so that nothing
 * else differs.
 */
import { formatAmount } from '#core/money.ts'
import type { Preference } from '#core/protocol/quote.ts'
import type { Traces } from './load.ts'
import { address, FAULTS, type Fault, type Plan } from './plan.ts'
import { run } from './run.ts'
import { quantiles } from './tally.ts'

export type Stragglers = {
  preference: Preference
  succeeded: number
  /** From its submission to its result, ms. */
  finishP50: number
  finishP95: number
  finishP99: number
  /** Attempts begun beside a late one, of all attempts. */
  seconds: number
  violations: number
}

const PROVIDERS = 100
const MODEL = { kind: 'text.embed', name: 'm', speed: 12, price: 1e12 } as const
/** Of each provider in an hour: ten times as slow for some 40 s, and gone for as long without closing its socket. */
const IN_AN_HOUR: Partial<Record<Fault, number>> = { slow: 4, blackout: 2 }

/** Tasks that take ten seconds, at random times. */
const EVEN: Traces = { requests: [{ at: 0, service: '', in: 0, out: 10 * MODEL.speed }], rates: new Array(144).fill(1) }

export const stragglers = (seed: number, tasks: number): Stragglers[] =>
  (['cheapest', 'balanced'] as const).map((preference) => {
    const { tally, ends, attempts, seconds, violated } = run(planOf(seed, tasks, preference), EVEN)
    const [finishP50, finishP95, finishP99] = quantiles(tally.finishes, [0.5, 0.95, 0.99]) as [number, number, number]
    const shares = { succeeded: ends.succeeded / tally.accepted, seconds: seconds / attempts }
    return { preference, finishP50, finishP95, finishP99, ...shares, violations: violated }
  })

function planOf(seed: number, tasks: number, preference: Preference): Plan {
  const offers = [{ kind: MODEL.kind, model: MODEL.name, ask: formatAmount(BigInt(MODEL.price)), speed: MODEL.speed }]
  return {
    seed,
    tasks,
    load: 'servegen',
    utilisation: 0.4,
    models: [MODEL],
    providers: Array.from({ length: PROVIDERS }, (_, n) => ({
      address: address(0xb0_0000 + n),
      registration: { name: '', slots: 1, offers, agent: 'simulated' },
      speed: 1,
      flaky: 0,
      cheat: null,
      latencyMs: 40,
    })),
    requesters: Array.from({ length: 20 }, (_, n) => ({
      address: address(0xa0_0000 + n),
      preference,
      region: null,
      patience: 3_600_000,
    })),
    faults: Object.fromEntries(FAULTS.map((fault) => [fault, IN_AN_HOUR[fault] ?? 0])) as Plan['faults'],
    outages: 0,
  }
}
