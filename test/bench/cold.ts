/**
 * Cold: a market that was killed with 100,000 tasks open: how long its first call waits for the market to be read back, which is what
 * follows an eviction too, and how long it is from the start of the edge to the first lease.
 */
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { signIn } from '../../client/account.ts'
import { call } from '../../client/edge.ts'
import type { PollAnswer } from '../../core/protocol/lease.ts'
import { buildWorker } from '../../scripts/build.ts'
import { openRequester } from '../../scripts/requester.ts'
import { createWorld } from '../support/fault-world.ts'
import { type Bench, judge, type Limit } from './bench.ts'
import { median } from './load.ts'

const LIMITS: Limit[] = [{ figure: 'cold.first_lease_ms_1e5', op: '<=', limit: 500 }]

const REQUESTERS = 50
/** As good as 100,000, which is what a market has room for: a little of it is always kept for who comes new. */
const FULL = 99_000
const BATCH = 500
const MODEL = 'bench/cold'
const TASK = {
  kind: 'llm.chat',
  model: MODEL,
  input: { messages: [{ role: 'user', content: 'Say hello.' }], max_tokens: 40 },
  maxPrice: '0.000001',
  deadlineSeconds: 86_400,
}

export const bench: Bench = {
  name: 'cold',
  async run({ quick, log }) {
    const tasks = quick ? 10_000 : FULL
    const rounds = quick ? 1 : 3
    await buildWorker()
    const world = await createWorld()
    try {
      // A few alone are not let to fill the whole market.
      const requesters = await Promise.all(
        Array.from({ length: REQUESTERS }, (_, n) => openRequester(world.url, join(world.folder, `requester-${n}`))),
      )
      const { token } = await signIn({ edge: world.url }, privateKeyToAccount(generatePrivateKey()))
      const provider = { edge: world.url, key: token }
      const offers = [{ kind: 'llm.chat', model: MODEL, ask: '0.000000001', speed: 1000 }]
      await call(provider, 'POST', '/v1/provider/register', { body: { name: 'bench', slots: 64, offers } })
      const body = Array.from({ length: BATCH }, () => TASK)
      for (let n = 0; n < tasks; n += BATCH) {
        const { apiKey } = requesters[(n / BATCH) % REQUESTERS]!
        await call({ edge: world.url, key: apiKey }, 'POST', '/v1/tasks', { body })
      }
      log(`${tasks} tasks are open`)
      const firsts: number[] = []
      const starts: number[] = []
      for (let round = 1; round <= rounds; round++) {
        await wait(1_000)
        // What world.crash() asks when the edge is back is the market's first call, so this one asks before it.
        const began = performance.now()
        const answered = untilAnswered()
        await world.crash()
        starts.push((await answered).at - began)
        firsts.push((await answered).tookMs)
        log(
          `round ${round}: first lease ${Math.round(firsts.at(-1)!)} ms, from the kill ${Math.round(starts.at(-1)!)} ms`,
        )
      }
      const name = quick ? '1e4' : '1e5'
      const figures = {
        [`cold.first_lease_ms_${name}`]: Math.round(median(firsts)),
        [`cold.from_kill_ms_${name}`]: Math.round(median(starts)),
      }
      return { figures, bars: judge(figures, LIMITS) }

      /** Polls for a lease until one comes. @returns when it came, and how long the call took that brought it */
      async function untilAnswered(): Promise<{ at: number; tookMs: number }> {
        await wait(50)
        for (;;) {
          const asked = performance.now()
          try {
            const { leases } = await call<PollAnswer>(provider, 'POST', '/v1/provider/poll', {
              body: { free: 1, seen: 0, results: [], renew: [], waitSeconds: 0 },
            })
            const at = performance.now()
            if (leases.length > 0) return { at, tookMs: at - asked }
          } catch {
            await wait(2)
          }
        }
      }
    } finally {
      await world.end()
    }
  },
}
