/**
 * Settle: what it costs to be paid on a chain (anvil, whole transactions with their base fee and calldata), how many
 * vouchers a Worker signs and checks, and whether the books come out equal to the unit when a real trace is paid: by vouchers and
 * contracts alone, and by the whole network of edge, agents and chain.
 */
import { formatAmount } from '../../core/money.ts'
import { startRuntime } from '../../scripts/runtime.ts'
import { startTestChain, type TestChain } from '../support/chain.ts'
import { measureGas } from '../support/gas.ts'
import { mulberry32 } from '../support/random.ts'
import { type Bench, type Figures, judge, type Limit } from './bench.ts'
import { bundledWorker } from './bundle.ts'
import { playTrace } from './lanes.ts'
import { median } from './load.ts'
import { playMarket } from './market-trace.ts'
import { readArrivals } from './traces.ts'
import { cpuMs } from './usage.ts'
import { inFolder } from './world.ts'

const LIMITS: Limit[] = [
  { figure: 'settle.gas_voucher_100', op: '<=', limit: 17_500 },
  { figure: 'settle.gas_task_1000', op: '<=', limit: 25 },
  { figure: 'settle.gas_new_requester', op: '<=', limit: 175_000 },
  { figure: 'settle.drift', op: '<=', limit: 0 },
  { figure: 'settle.network_drift', op: '<=', limit: 0 },
]

export const bench: Bench = {
  name: 'settle',
  async run({ quick, log }) {
    const figures: Figures = {}
    const gas = await onChain(measureGas)
    for (const [name, value] of Object.entries(gas)) figures[`settle.${name}`] = value
    log(`${gas.gas_voucher_100} gas a voucher, ${gas.gas_task_1000} a task`)
    Object.assign(figures, await voucherRates(quick ? 100 : 1_000, quick ? 1 : 5))
    const seed = Date.now() % 2 ** 32
    const tasks = readArrivals().slice(0, quick ? 500 : 10_000)
    const played = await onChain((chain) => playTrace(chain, tasks, mulberry32(seed)))
    log(
      `seed ${seed}: ${tasks.length} tasks, ${played.vouchers} vouchers, ${played.claims} claims, ` +
        `${formatAmount(played.spent)} tokens spent, drift ${played.drift}`,
    )
    figures['settle.drift'] = Number(played.drift)
    const whole = await inFolder((state) => playMarket(state, tasks, log))
    log(
      `through edge, agents and chain: ${whole.tasks} tasks, ${whole.vouchers} vouchers in ${whole.claims} claims, ` +
        `${formatAmount(whole.spent)} tokens spent, drift ${whole.drift}`,
    )
    figures['settle.network_drift'] = Number(whole.drift)
    return { figures, bars: judge(figures, LIMITS) }
  },
}

async function onChain<T>(measure: (chain: TestChain) => Promise<T>): Promise<T> {
  const chain = await startTestChain()
  try {
    return await measure(chain)
  } finally {
    await chain.stop()
  }
}

/** By workerd's processor time, from outside: inside, no time passes while a Worker computes. The first round warms up. */
async function voucherRates(count: number, rounds: number): Promise<Figures> {
  const runtime = await startRuntime({ port: 0, workers: [bundledWorker('voucher-worker.ts')] })
  const pid = runtime.workerd()!
  const ask = async <T>(path: string, body?: unknown): Promise<{ answer: T; perSecond: number }> => {
    const before = cpuMs(pid)
    const response = await fetch(new URL(path, runtime.url), { method: 'POST', body: JSON.stringify(body) })
    const answer = (await response.json()) as T
    return { answer, perSecond: count / ((cpuMs(pid) - before) / 1000) }
  }
  try {
    const signed: number[] = []
    const verified: number[] = []
    for (let round = 0; round <= rounds; round++) {
      const signing = await ask<string[]>(`/sign?count=${count}`)
      const verifying = await ask<number>('/verify', signing.answer)
      if (verifying.answer !== count) throw new Error(`only ${verifying.answer} of ${count} vouchers were good`)
      if (round === 0) continue
      signed.push(signing.perSecond)
      verified.push(verifying.perSecond)
    }
    return {
      'settle.vouchers_signed_per_s': Math.round(median(signed)),
      'settle.vouchers_verified_per_s': Math.round(median(verified)),
    }
  } finally {
    await runtime.stop()
  }
}
