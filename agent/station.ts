/** One agent at all its edges: what it offers to each, and what its owner may ask of it while it runs. */
import type { PrivateKeyAccount } from 'viem/accounts'
import type { Device, Earnings, Offer, Register, Why } from '#core/protocol/provider.ts'
import { LIMITS } from '#core/protocol/values.ts'
import { SEALED } from '#core/sealed.ts'
import { type Agent, type AgentView, startAgent } from './agent.ts'
import { type Gauges, keepWithin } from './bounds.ts'
import { collectFor } from './collecting.ts'
import type { Collector } from './collector.ts'
import type { FoundDevice } from './devices/device.ts'
import { advertised } from './devices/devices.ts'
import type { Found } from './discovery.ts'
import { createEdge, type Edge } from './edge.ts'
import type { Log, LogFields } from './log.ts'
import { describeUnit, type Index, proposeAsk } from './price.ts'
import type { Runner } from './runner.ts'
import { createSealing } from './sealing.ts'
import type { Settings } from './settings.ts'
import { divide, sharesOf } from './slots.ts'
import { openSpool } from './spool.ts'
import { TIMING } from './timing.ts'
import { VERSION } from './version.ts'
import { keepVigil, type VigilTiming } from './vigil.ts'
import { createTurns } from './work.ts'

/** How long a look at an edge may take. */
const LOOK_MS = 5000

export type StationOptions = {
  settings: Settings
  account: PrivateKeyAccount
  found: Found[]
  devices: FoundDevice[]
  /** Folder of the unsent results. */
  spool: string
  log: Log
  vigil: VigilTiming
  gauges: Gauges
}

/** What `status` shows. */
export type StationView = {
  state: 'working' | 'resting' | 'paused' | 'leaving'
  /** Why no work is taken, when not for the owner's word. */
  why: string | null
  address: string
  devices: Device[]
  edges: (AgentView & { edge: string })[]
}
/** What an edge says of the provider. */
export type Standing = { edge: string; earnings: Earnings | null; why: Why | null }

export type Station = {
  view: () => StationView
  /** Takes on the name, region, owner, slots and prices of new settings. */
  apply: (settings: Settings) => void
  /** Asks the edges themselves. */
  standings: () => Promise<Standing[]>
  setOpen: (open: boolean) => void
  /** Takes no more, lets what runs finish until `graceMs` or `hurry`, and leaves. */
  stop: (graceMs: number, hurry: AbortSignal) => Promise<void>
}

type Place = {
  edge: Edge
  agent: Agent
  collecting: Promise<Collector | undefined>
  index: Index
  log: Log
  registration: string
}

export async function startStation(options: StationOptions): Promise<Station> {
  const { account, found, spool, log, gauges } = options
  let { settings } = options
  const runners = found.map(({ runner }) => runner)
  const turns = createTurns()
  const withdrawn = new Set<Runner>()
  const workedAt = new Map<Runner, number>()
  const devices = advertised(options.devices)
  const sealing = await createSealing(account)
  let state: Exclude<StationView['state'], 'resting'> = 'working'
  const places: Place[] = []
  const leaving = new AbortController()
  const bounds = await keepWithin(settings.limits, gauges, onBounds, () => {
    for (const { agent } of places) agent.giveBack()
  })
  // A machine at rest is not looked at either, for a look is work.
  const lastWork = (runner: Runner) => (bounds.obstacle() ? Date.now() : (workedAt.get(runner) ?? 0))
  const vigil = keepVigil(runners, lastWork, onChange, Date.now, options.vigil)

  const offered = () => found.filter(({ runner }) => !withdrawn.has(runner))
  const isOpen = () => state === 'working' && bounds.obstacle() === undefined && offered().length > 0
  const registrationFor = (index: Index, slots: number, tell: Log): Register => {
    const { name, region, owner, prices } = settings
    const offers = offersOf(offered(), prices, index, tell)
    const told = { ...(region && { region }), ...(owner && { owner }) }
    return { name, ...told, slots, offers, agent: VERSION, devices, sealing: sealing.published }
  }

  const shares = sharesOf(slotsOf(settings, found), settings.edges.length)
  const started = await Promise.all(
    settings.edges.map(async (url, i): Promise<Place> => {
      const edge = createEdge(url, account, Date.now)
      const tell: Log = (event, fields) => {
        if (event === 'task') onTask(fields)
        log(event, { ...fields, edge: url })
      }
      const index = await indexOf(edge)
      const registration = registrationFor(index, shares[i]!, tell)
      const collecting = collectFor({ settings, edge, provider: account, log: tell, signal: leaving.signal })
      const agent = await startAgent({
        edge,
        registration,
        payment: {
          takes: async (lease) => (await collecting)?.takes(lease) ?? true,
          ended: (lease, accepted) => void collecting.then((collector) => collector?.ended(lease, accepted)),
        },
        sealing,
        runners,
        ...(settings.edges.length > 1 && { onShare: share }),
        turns,
        spool: await openSpool(spool, url),
        log: tell,
        now: Date.now,
        random: Math.random,
        timing: TIMING,
      })
      agent.setOpen(isOpen())
      return { edge, agent, collecting, index, log: tell, registration: JSON.stringify(registration) }
    }),
  )
  places.push(...started)
  open()
  function onTask({ kind, model, status }: LogFields = {}) {
    const runner = runners.find((runner) => runner.kind === kind && runner.model === model)
    if (runner && status === 'succeeded') workedAt.set(runner, Date.now())
    else if (runner && status === 'failed') vigil.doubt(runner)
  }

  function onChange(runner: Runner, reason: string | undefined) {
    const { kind, model } = runner
    if (reason === undefined) withdrawn.delete(runner)
    else withdrawn.add(runner)
    if (reason === undefined) log('found', { kind, model })
    else log('withdrawn', { kind, model, why: reason })
    offerAgain()
  }

  /** Tells each edge what has changed; an agent with nothing to offer stays registered, and takes nothing. */
  function offerAgain() {
    const shares = sharesOf(slotsOf(settings, found), places.length)
    for (const [i, place] of places.entries()) {
      if (offered().length > 0) {
        const registration = registrationFor(place.index, shares[i]!, place.log)
        const text = JSON.stringify(registration)
        if (text !== place.registration) place.agent.register(registration)
        place.registration = text
      }
    }
    share()
    open()
  }

  /** Slots go to where the work is. */
  function share() {
    const slots = divide(
      slotsOf(settings, found),
      places.map(({ agent }) => agent.share()),
    )
    for (const [i, { agent }] of places.entries()) agent.setSlots(slots[i]!)
  }

  function open() {
    for (const { agent } of places) agent.setOpen(isOpen())
  }

  function onBounds(why: string | undefined) {
    log(why === undefined ? 'resume' : 'rest', { reason: why })
    open()
  }

  return {
    view: () => ({
      state: state === 'working' && bounds.obstacle() !== undefined ? 'resting' : state,
      why: bounds.obstacle() ?? null,
      address: account.address,
      devices,
      edges: places.map(({ edge, agent }) => ({ edge: edge.origin, ...agent.view() })),
    }),
    apply(next) {
      // Divided before anything is changed, for it may refuse.
      sharesOf(slotsOf(next, found), places.length)
      settings = next
      bounds.apply(next.limits)
      offerAgain()
    },
    standings: () => Promise.all(places.map(({ edge }) => standingAt(edge))),
    setOpen(isWanted) {
      if (state === 'leaving') return
      state = isWanted ? 'working' : 'paused'
      open()
    },
    async stop(graceMs, hurry) {
      state = 'leaving'
      await Promise.all([vigil.end(), bounds.end()])
      await Promise.all(places.map(({ agent }) => agent.stop(graceMs, hurry)))
      leaving.abort()
      if (!hurry.aborted) await Promise.all(places.map(async ({ collecting }) => (await collecting)?.stop()))
      await Promise.all(runners.map((runner) => runner.close()))
    },
  }
}

function slotsOf({ slots }: Settings, found: Found[]): number {
  // Runners for the same places have as many as one of them.
  const apart = new Map(found.map(({ runner }) => [runner.places ?? runner, runner.concurrency]))
  return (
    slots ??
    Math.min(
      [...apart.values()].reduce((sum, count) => sum + count),
      LIMITS.slots,
    )
  )
}

function offersOf(found: Found[], prices: Settings['prices'], index: Index, log: Log): Offer[] {
  return found.slice(0, LIMITS.offers).map(({ runner: { kind, model }, probe }) => {
    const { ask, basis } = proposeAsk(kind, model, prices, index)
    log('offer', { kind, model, ask, unit: describeUnit(kind), basis })
    const capabilities = kind === 'llm.chat' ? [...(probe.capabilities ?? []), SEALED] : probe.capabilities
    return { kind, model, ask, ...probe, ...(capabilities && { capabilities }) }
  })
}

/** An edge that is away says nothing of prices; it is reached later. */
const indexOf = (edge: Edge): Promise<Index> =>
  edge.forecast(AbortSignal.timeout(LOOK_MS)).then(
    ({ classes }) => classes,
    () => [],
  )

async function standingAt(edge: Edge): Promise<Standing> {
  const signal = AbortSignal.timeout(LOOK_MS)
  const [earnings, why] = await Promise.allSettled([edge.earnings(signal), edge.why(signal)])
  return {
    edge: edge.origin,
    earnings: earnings.status === 'fulfilled' ? earnings.value : null,
    why: why.status === 'fulfilled' ? why.value : null,
  }
}
