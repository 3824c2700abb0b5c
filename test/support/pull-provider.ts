/**
 * A provider that pulls over HTTP and lives through anything: a result is sent again until it was answered for.
 * It is also as unruly as providers get: results come twice, in any order, under other attempts, or late after being dropped.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { type Connection, call } from '../../client/edge.ts'
import type { Poll, PollAnswer, Result } from '../../core/protocol/lease.ts'
import type { Offer } from '../../core/protocol/provider.ts'
import type { Address } from '../../core/protocol/values.ts'
import { type Member, newProvider, type Random, unlessDown, type World } from './fault-world.ts'
import { submitterOf } from './market-load.ts'
import type { Progress } from './progress.ts'

export type PullPlan = {
  offer: Pick<Offer, 'kind' | 'model'>
  slots: number
  random: Random
  progress: Progress
  /** How many results out of one are sent twice, under an earlier attempt, or late after the lease was dropped. */
  unruly: number
}

export type PullProvider = {
  address: Address
  /** What was done and what the edge said to it. */
  counts: { lostAnswers: number; repeated: number; stale: number; dropped: number; refused: Record<string, number> }
  /** Rejects when the edge answers what it never should. */
  failed: Promise<never>
  stop(): Promise<void>
}

const ASK = '0.000000123'

export async function registerPuller(world: World, offer: PullPlan['offer'], slots: number): Promise<Member> {
  const provider = await newProvider(world)
  const registration = { name: 'puller', slots, offers: [{ ...offer, ask: ASK, speed: 1000 }] }
  await call(provider.caller, 'POST', '/v1/provider/register', { body: registration })
  return provider
}

export const pollOnce = (caller: Connection, poll: Partial<Poll>): Promise<PollAnswer> =>
  call(caller, 'POST', '/v1/provider/poll', { body: { free: 0, ...poll } })

/** The output names the lease under which it was made, so that a task's output tells whose result was taken. */
export function resultOf(lease: string, outputTokens: number): Result {
  const output = { content: lease, finishReason: 'stop' }
  return { lease, outcome: { status: 'succeeded', output, usage: { inputTokens: 8, outputTokens } } }
}

export async function startPuller(world: World, plan: PullPlan): Promise<PullProvider> {
  const { random, progress, slots, unruly } = plan
  const { address, caller } = await registerPuller(world, plan.offer, slots)
  const counts: PullProvider['counts'] = { lostAnswers: 0, repeated: 0, stale: 0, dropped: 0, refused: {} }
  const known = new Set<string>()
  /** When each is done; a dropped one runs on without being named to the edge. */
  const running = new Map<string, { doneAt: number; dropped: boolean }>()
  const finished = new Map<string, Result>()
  let extras: Result[] = []
  let seen = 0
  let stopping = false

  function finish(lease: string): void {
    const result = resultOf(lease, random.between(1, 40))
    running.delete(lease)
    finished.set(lease, result)
    if (random.chance(unruly)) {
      counts.repeated++
      extras.push(result)
    }
    if (random.chance(unruly)) {
      counts.stale++
      const [task, attempt] = split(lease)
      extras.push(resultOf(`${task}.${attempt - 1}`, random.between(1, 40)))
    }
  }

  function take(answer: PollAnswer): void {
    for (const { id, seq, input } of answer.leases) {
      seen = Math.max(seen, seq)
      if (known.has(id)) continue
      known.add(id)
      progress.told(split(id)[0], submitterOf(input))
      const dropped = random.chance(unruly)
      if (dropped) counts.dropped++
      running.set(id, { doneAt: Date.now() + random.between(20, dropped ? 800 : 200), dropped })
    }
    for (const { lease, accepted, code = 'none' } of answer.results) {
      // A repeat goes out when the first was answered, if not with it.
      finished.delete(lease)
      if (accepted) progress.accepted(lease)
      else counts.refused[code] = (counts.refused[code] ?? 0) + 1
      if (accepted || code === 'task_finished') progress.over(split(lease)[0])
    }
    for (const lease of answer.revoked) if (!running.get(lease)?.dropped) running.delete(lease)
  }

  async function work(): Promise<void> {
    while (!stopping || running.size > 0 || finished.size > 0) {
      const now = Date.now()
      for (const [lease, { doneAt }] of running) if (doneAt <= now) finish(lease)
      const results = random.shuffled([...finished.values(), ...extras])
      extras = random.chance(0.5) ? [...finished.values()].filter(() => random.chance(unruly)) : []
      const renew = [...running].flatMap(([lease, { dropped }]) => (dropped ? [] : [lease]))
      const free = stopping ? 0 : Math.max(slots - running.size, 0)
      const waitSeconds = stopping || running.size > 0 || results.length > 0 ? 0 : 2
      const answer = await unlessDown(world, () => pollOnce(caller, { free, seen, results, renew, waitSeconds }))
      if (!answer) {
        counts.lostAnswers++
        continue
      }
      take(answer)
      if (finished.size > 0 || running.size === 0) continue
      const next = Math.min(...[...running.values()].map(({ doneAt }) => doneAt))
      await wait(Math.max(next - Date.now(), 10))
    }
  }

  const worked = work()
  const failed = worked.then(() => new Promise<never>(() => {}))
  failed.catch(() => {})
  return {
    address,
    counts,
    failed,
    async stop() {
      stopping = true
      await worked
    },
  }
}

export function split(lease: string): [task: string, attempt: number] {
  const dot = lease.lastIndexOf('.')
  return [lease.slice(0, dot), Number(lease.slice(dot + 1))]
}
