/** `node agent/main.ts --edge URL`: finds out what this machine can do, offers it to the edge, does what is asked. */
import { join } from 'node:path'
import { LIMITS, type Offer, type Register } from '#core/protocol.ts'
import { claimState } from './claim.ts'
import { type Found, probeAll } from './discovery.ts'
import { localRunners } from './local-runners.ts'
import { createLog, type Log } from './log.ts'
import { type Options, parseOptions, USAGE } from './options.ts'
import { defaultAsk, describeUnit } from './price.ts'
import type { Runner } from './runner.ts'
import { TIMING } from './timing.ts'
import { findUpstreams, USUAL } from './upstreams.ts'

const VERSION = 'daicn-agent/0.1.0'
const GRACE_MS = 5000

async function main(options: Options, log: Log): Promise<number> {
  const stopping = new AbortController()
  const hurry = new AbortController()
  const onSignal = () => (stopping.signal.aborted ? hurry : stopping).abort()
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, onSignal)

  if (!(await claimState(options.state))) {
    log('error', {
      reason: `another agent runs on ${options.state}`,
      mend: 'stop it, or give this one its own --state',
    })
    return 1
  }
  // Probing is what takes long; the key and the code that signs with it are loaded beside it.
  const probing = candidates(options, log).then((runners) => probeAll(runners, log, stopping.signal))
  const [{ loadAccount }, { createEdge }, { startAgent }, { openSpool }] = await Promise.all([
    import('./key.ts'),
    import('./edge.ts'),
    import('./agent.ts'),
    import('./spool.ts'),
  ])
  const account = await loadAccount(options.state)
  log('start', { address: account.address, edge: options.edge, state: options.state, agent: VERSION })

  const found = await probing
  if (stopping.signal.aborted) return 0
  if (found.length === 0) {
    log('error', { reason: 'nothing to offer', mend: 'see the lines above, or point --upstream at a server' })
    return 1
  }
  const registration = register(options, found)
  for (const { kind, model, ask } of registration.offers) log('offer', { kind, model, ask, unit: describeUnit(kind) })

  const agent = await startAgent({
    edge: createEdge(options.edge, account, Date.now),
    registration,
    runners: found.map(({ runner }) => runner),
    spool: await openSpool(join(options.state, 'spool'), options.edge),
    log,
    now: Date.now,
    random: Math.random,
    timing: TIMING,
  })
  if (!stopping.signal.aborted) await new Promise((resolve) => stopping.signal.addEventListener('abort', resolve))
  log('stop', { state: 'leaving' })
  await agent.stop(GRACE_MS, hurry.signal)
  log('stop', { state: 'left' })
  return 0
}

async function candidates(options: Options, log: Log): Promise<Runner[]> {
  const local = localRunners(options.kinds, log)
  if (!options.kinds.includes('llm.chat')) return local
  const search = {
    named: options.upstreams,
    usual: USUAL,
    edge: options.edge,
    apiKey: process.env.DAICN_UPSTREAM_KEY,
  }
  const upstreams = await findUpstreams(search, log)
  return [...local, ...upstreams]
}

function register(options: Options, found: Found[]): Register {
  const offers = found.map(({ runner: { kind, model }, probe }): Offer => {
    return { kind, model, ask: options.prices.get(kind) ?? defaultAsk(kind), ...probe }
  })
  const places = found.reduce((sum, { runner }) => sum + runner.concurrency, 0)
  return {
    name: options.name,
    ...(options.region ? { region: options.region } : {}),
    slots: options.slots ?? Math.min(places, LIMITS.slots),
    offers: offers.slice(0, LIMITS.offers),
    agent: VERSION,
  }
}

function parse(): Options {
  try {
    const options = parseOptions(process.argv.slice(2))
    if (options !== 'help') return options
    process.stdout.write(`${USAGE}\n`)
    process.exit(0)
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}\n`)
    process.exit(2)
  }
}

const options = parse()
const log = createLog(
  options.log,
  (line) => process.stdout.write(line),
  () => new Date(),
)
try {
  process.exitCode = await main(options, log)
} catch (error) {
  log('error', { reason: (error as Error).message })
  process.exitCode = 1
}
process.exit()
