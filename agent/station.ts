/** One agent at all its edges: what it offers to each, and what its owner may ask of it while it runs. */
import type { PrivateKeyAccount } from 'viem/accounts'
import { LIMITS, type Offer, type Register, type Why } from '#core/protocol.ts'
import { type Agent, type AgentView, startAgent } from './agent.ts'
import type { Found } from './discovery.ts'
import { createEdge, type Edge } from './edge.ts'
import type { Log } from './log.ts'
import { describeUnit, type Index, proposeAsk } from './price.ts'
import type { Settings } from './settings.ts'
import { openSpool } from './spool.ts'
import { TIMING } from './timing.ts'
import { createTurns } from './work.ts'

export const VERSION = 'daicn-agent/0.1.0'
/** How long a look at an edge may take. */
const LOOK_MS = 5000

export type StationOptions = {
  settings: Settings
  account: PrivateKeyAccount
  found: Found[]
  /** Folder of the unsent results. */
  spool: string
  log: Log
}

/** What `status` shows. */
export type StationView = {
  state: 'working' | 'paused' | 'leaving'
  address: string
  edges: (AgentView & { edge: string })[]
}
/** What an edge says of the provider; `earned` in tokens. */
export type Standing = { edge: string; earned: string | null; why: Why | null }

export type Station = {
  view: () => StationView
  /** Asks the edges themselves. */
  standings: () => Promise<Standing[]>
  setOpen: (open: boolean) => void
  /** Takes no more, lets what runs finish until `graceMs` or `hurry`, and leaves. */
  stop: (graceMs: number, hurry: AbortSignal) => Promise<void>
}

type Place = { edge: Edge; agent: Agent }

export async function startStation({ settings, account, found, spool, log }: StationOptions): Promise<Station> {
  const runners = found.map(({ runner }) => runner)
  const turns = createTurns()
  const shares = sharesOf(slotsOf(settings, found), settings.edges.length)
  let state: StationView['state'] = 'working'

  const places = await Promise.all(
    settings.edges.map(async (url, i): Promise<Place> => {
      const edge = createEdge(url, account, Date.now)
      const tell: Log = (event, fields) => log(event, { ...fields, edge: url })
      const index = await indexOf(edge)
      const agent = await startAgent({
        edge,
        registration: registrationOf(settings, found, shares[i]!, index, tell),
        runners,
        turns,
        spool: await openSpool(spool, url),
        log: tell,
        now: Date.now,
        random: Math.random,
        timing: TIMING,
      })
      return { edge, agent }
    }),
  )

  return {
    view: () => ({
      state,
      address: account.address,
      edges: places.map(({ edge, agent }) => ({ edge: edge.origin, ...agent.view() })),
    }),
    standings: () => Promise.all(places.map(({ edge }) => standingAt(edge))),
    setOpen(open) {
      if (state === 'leaving') return
      state = open ? 'working' : 'paused'
      for (const { agent } of places) agent.setOpen(open)
    },
    async stop(graceMs, hurry) {
      state = 'leaving'
      await Promise.all(places.map(({ agent }) => agent.stop(graceMs, hurry)))
      await Promise.all(runners.map((runner) => runner.close()))
    },
  }
}

function slotsOf({ slots }: Settings, found: Found[]): number {
  const places = found.reduce((sum, { runner }) => sum + runner.concurrency, 0)
  return slots ?? Math.min(places, LIMITS.slots)
}

/**
 * What each edge is promised: the slots are divided, so that none is promised twice.
 * Throws RangeError when there is not one for each.
 */
export function sharesOf(slots: number, edges: number): number[] {
  if (slots < edges)
    throw new RangeError(
      `${slots} ${slots === 1 ? 'slot' : 'slots'} cannot be promised to ${edges} edges: name fewer edges`,
    )
  return Array.from({ length: edges }, (_, i) => Math.floor(slots / edges) + (i < slots % edges ? 1 : 0))
}

function registrationOf(settings: Settings, found: Found[], slots: number, index: Index, log: Log): Register {
  const offers = found.slice(0, LIMITS.offers).map(({ runner: { kind, model }, probe }): Offer => {
    const { ask, basis } = proposeAsk(kind, model, settings.prices, index)
    log('offer', { kind, model, ask, unit: describeUnit(kind), basis })
    return { kind, model, ask, ...probe }
  })
  const { name, region } = settings
  return { name, ...(region ? { region } : {}), slots, offers, agent: VERSION }
}

/** An edge that is away says nothing of prices; it is reached later. */
const indexOf = (edge: Edge): Promise<Index> =>
  edge.forecast(AbortSignal.timeout(LOOK_MS)).then(
    ({ classes }) => classes,
    () => [],
  )

async function standingAt(edge: Edge): Promise<Standing> {
  const signal = AbortSignal.timeout(LOOK_MS)
  const [account, why] = await Promise.allSettled([edge.account(signal), edge.why(signal)])
  return {
    edge: edge.origin,
    earned: account.status === 'fulfilled' ? account.value.earned : null,
    why: why.status === 'fulfilled' ? why.value : null,
  }
}
