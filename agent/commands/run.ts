/** Finds out what this machine can do, offers it to the edges, and does what is asked until it is told to leave. */
import { join } from 'node:path'
import { openControl } from '../control.ts'
import { probeAll } from '../discovery.ts'
import { localRunners } from '../local-runners.ts'
import { createLog, type Log } from '../log.ts'
import type { Runner } from '../runner.ts'
import type { Settings } from '../settings.ts'
import type { Station } from '../station.ts'
import { findUpstreams, USUAL } from '../upstreams.ts'

const GRACE_MS = 5000
const A_DAY_MS = 86_400_000

/** @returns the exit code */
export async function run(settings: Settings): Promise<number> {
  const log = createLog(
    settings.log === 'json' ? 'json' : 'pretty',
    (line) => process.stdout.write(line),
    () => new Date(),
  )
  try {
    return await work(settings, log)
  } catch (error) {
    log('error', { reason: (error as Error).message })
    return 1
  }
}

async function work(settings: Settings, log: Log): Promise<number> {
  const stopping = new AbortController()
  const hurry = new AbortController()
  let graceMs = GRACE_MS
  let station: Station | undefined
  const onSignal = () => (stopping.signal.aborted ? hurry : stopping).abort()
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, onSignal)

  async function answer(word: string): Promise<unknown> {
    if (!station) throw new Error('the agent is still finding out what it can do')
    switch (word) {
      case 'status':
        return { ...station.view(), standings: await station.standings() }
      case 'pause':
      case 'resume':
        station.setOpen(word === 'resume')
        log(word)
        return station.view()
      case 'drain':
        graceMs = A_DAY_MS
        stopping.abort()
        return station.view()
      default:
        throw new Error(`the agent does not know "${word}"`)
    }
  }

  if (!(await openControl(settings.state, answer))) {
    log('error', {
      reason: `another agent runs on ${settings.state}`,
      mend: 'stop it, or give this one its own --state',
    })
    return 1
  }
  // Probing is what takes long; the key and the code that signs with it are loaded beside it.
  const probing = candidates(settings, log).then((runners) => probeAll(runners, log, stopping.signal))
  const [{ loadAccount }, { startStation, VERSION }] = await Promise.all([import('../key.ts'), import('../station.ts')])
  const account = await loadAccount(settings.state)
  log('start', {
    address: account.address,
    edge: settings.edges.join(' '),
    state: settings.state,
    agent: VERSION,
  })

  const found = await probing
  if (stopping.signal.aborted) return 0
  if (found.length === 0) {
    log('error', { reason: 'nothing to offer', mend: 'see the lines above, or point --upstream at a server' })
    return 1
  }
  station = await startStation({ settings, account, found, spool: join(settings.state, 'spool'), log })
  if (!stopping.signal.aborted) await new Promise((resolve) => stopping.signal.addEventListener('abort', resolve))
  log('stop', { state: 'leaving' })
  await station.stop(graceMs, hurry.signal)
  log('stop', { state: 'left' })
  return 0
}

async function candidates(settings: Settings, log: Log): Promise<Runner[]> {
  const local = localRunners(settings.kinds, log)
  if (!settings.kinds.includes('llm.chat')) return local
  const search = {
    named: settings.upstreams,
    usual: USUAL,
    edges: settings.edges,
    apiKey: process.env.DAICN_UPSTREAM_KEY,
  }
  return [...local, ...(await findUpstreams(search, log))]
}
