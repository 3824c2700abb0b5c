/** One edge that tests kill and start again, and the people of its network, who go on through that. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { loadAccount } from '../../agent/key.ts'
import { signIn } from '../../client/account.ts'
import { type Connection, call } from '../../client/edge.ts'
import { DaicnError } from '../../client/error.ts'
import type { TaskView } from '../../core/protocol/task.ts'
import type { Address } from '../../core/protocol/values.ts'
import { freePort, spawnEdge, type TestEdge, temporaryState } from './edge.ts'

export type Member = { address: Address; caller: Connection }

export type World = {
  url: string
  /** For agents and whatever else needs a place of its own. */
  folder: string
  /** Pending while the edge is down. */
  up: Promise<void>
  /** workerd's process id, where the system tells it and it is up. */
  workerd(): number | undefined
  requesters: Member[]
  providers: Member[]
  /**
   * SIGKILL to the edge, then a new one on the same port and state.
   * @returns milliseconds from the kill until it answered again, less what `whileDown` took
   */
  crash(whileDown?: () => Promise<void>): Promise<number>
  /** The same by an orderly stop. */
  restart(): Promise<void>
  /** The last lines that its edges logged, for whoever looks into a failure. */
  lastLog(): Promise<string>
  /** Called last first when the world ends. */
  defer(end: () => Promise<unknown>): void
  end(): Promise<void>
}

/** @param chain settings of a chain, or of another kind, by their names in wrangler.toml */
export async function createWorld(chain?: Record<string, string>): Promise<World> {
  const temporary = await temporaryState()
  const port = await freePort()
  const state = join(temporary.state, 'edge')
  let edge: TestEdge | undefined = await spawnEdge({ state, port, ...(chain && { chain }) })
  const ends: (() => Promise<unknown>)[] = []

  async function replace(gone: (old: TestEdge) => Promise<void>, whileDown = async () => {}): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<void>()
    world.up = promise
    const old = edge!
    edge = undefined
    const killed = performance.now()
    await gone(old)
    const down = performance.now()
    await whileDown()
    const began = performance.now()
    edge = await spawnEdge({ state, port, ...(chain && { chain }) })
    await call({ edge: world.url }, 'GET', '/v1/network')
    resolve()
    return performance.now() - began + down - killed
  }

  const world: World = {
    url: edge.url,
    folder: temporary.state,
    up: Promise.resolve(),
    workerd: () => edge?.workerd,
    requesters: [],
    providers: [],
    crash: (whileDown) => replace((old) => old.kill9(), whileDown),
    restart: async () => void (await replace((old) => old.stop())),
    lastLog: async () => (await readFile(join(state, 'edge.log'), 'utf8')).split('\n').slice(-60).join('\n'),
    defer: (end) => void ends.push(end),
    async end() {
      for (const end of ends.reverse()) await end()
      await edge?.stop()
      await temporary.remove()
    },
  }
  return world
}

async function signedIn(world: World, account = privateKeyToAccount(generatePrivateKey())): Promise<Member> {
  const { address, token } = await signIn({ edge: world.url }, account)
  return { address, caller: { edge: world.url, key: token } }
}

export async function newRequester(world: World): Promise<Member> {
  const requester = await signedIn(world)
  await call(requester.caller, 'POST', '/v1/account/faucet')
  world.requesters.push(requester)
  return requester
}

/** @param state of an agent, to speak for it; without it, somebody new */
export async function newProvider(world: World, state?: string): Promise<Member> {
  const provider = await signedIn(world, state === undefined ? undefined : await loadAccount(state))
  if (!world.providers.some(({ address }) => address === provider.address)) world.providers.push(provider)
  return provider
}

export const readTask = ({ caller }: Member, id: string, waitSeconds = 0): Promise<TaskView> =>
  call(caller, 'GET', `/v1/tasks/${id}?waitSeconds=${waitSeconds}`, { holdMs: waitSeconds * 1000 })

/** Undefined when the edge went away before it answered; what the edge refuses is thrown. */
export async function unlessDown<T>(world: World, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof DaicnError && error.status > 0) throw error
    await world.up
    return undefined
  }
}

export type Random = {
  /** At least `low`, at most `high`. */
  between(low: number, high: number): number
  chance(probability: number): boolean
  shuffled<T>(items: T[]): T[]
}

/** Mulberry32. */
export function seeded(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const between = (low: number, high: number) => low + Math.floor(next() * (high - low + 1))
  return {
    between,
    chance: (probability) => next() < probability,
    shuffled(items) {
      const left = [...items]
      return items.map(() => left.splice(between(0, left.length - 1), 1)[0]!)
    },
  }
}
