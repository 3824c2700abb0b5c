/** Finds out what this machine can do, offers it to the edges, and does what is asked until it is told to leave. */
import { type StatsListener, unwatchFile, watchFile } from 'node:fs'
import { join } from 'node:path'
import { GAUGES } from '../bounds.ts'
import { containerRunners } from '../container-runners.ts'
import { openControl } from '../control.ts'
import type { FoundDevice } from '../devices/device.ts'
import { askTool, findDevices } from '../devices/devices.ts'
import { probeAll } from '../discovery.ts'
import { createLive, type Live } from '../live.ts'
import { localRunners, ownRunners } from '../local-runners.ts'
import { createLog, type Log } from '../log.ts'
import type { Runner } from '../runner.ts'
import { createWasiRunner } from '../runners/wasi-run.ts'
import { type Given, loadSettings, type Settings } from '../settings.ts'
import type { Station } from '../station.ts'
import { findUpstreams, UPSTREAM_KINDS, USUAL } from '../upstreams.ts'
import { VERSION } from '../version.ts'
import { VIGIL } from '../vigil.ts'

const GRACE_MS = 5000
const A_DAY_MS = 86_400_000
const DRAW_MS = 1000
/** Between two looks at agent.toml. */
const LOOK_MS = 2000

/** @returns the exit code */
export async function run(given: Given): Promise<number> {
  const settings = loadSettings(given)
  const how = settings.log ?? (process.stdout.isTTY ? 'live' : 'pretty')
  const live = how === 'live' ? createLive(process.stdout, Date.now) : undefined
  const log = createLog(
    how === 'json' ? 'json' : 'pretty',
    live?.print ?? ((line) => process.stdout.write(line)),
    () => new Date(),
  )
  try {
    return await work(given, settings, log, live)
  } catch (error) {
    log('error', { reason: (error as Error).message })
    return 1
  }
}

async function work(given: Given, settings: Settings, log: Log, live: Live | undefined): Promise<number> {
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
      case 'view':
        return station.view()
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
  const looking = findDevices()
  const probing = candidates(settings, looking, log).then((runners) => probeAll(runners, log, stopping.signal))
  const [{ loadAccount }, { startStation }] = await Promise.all([import('../key.ts'), import('../station.ts')])
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
  const devices = await looking
  for (const { id, name, memoryBytes, freeBytes } of devices) log('device', { id, name, memoryBytes, freeBytes })
  for (const id of Object.values(settings.placing).flat())
    if (devices.every((device) => device.id !== id))
      log('error', { reason: `--device ${id}: this machine has no such device`, mend: 'name one of the above' })
  const spool = join(settings.state, 'spool')
  station = await startStation({ settings, account, found, devices, spool, log, vigil: VIGIL, gauges: GAUGES })
  const unwatch = watchSettings(given, settings, station, log)
  const drawing = live && setInterval((station: Station) => live.show(station.view()), DRAW_MS, station)
  if (!stopping.signal.aborted) await new Promise((resolve) => stopping.signal.addEventListener('abort', resolve))
  unwatch()
  log('stop', { state: 'leaving' })
  await station.stop(graceMs, hurry.signal)
  clearInterval(drawing)
  log('stop', { state: 'left' })
  return 0
}

/** Reads agent.toml again when it changes; what cannot be taken on is told, and all stays as it was. */
function watchSettings(given: Given, first: Settings, station: Station, log: Log): () => void {
  const read: StatsListener = (file, before) => {
    if (file.mtimeMs === before.mtimeMs) return // it is called once for a file that is not there
    try {
      const next = loadSettings(given)
      station.apply(next)
      const later = (['edges', 'kinds', 'upstreams', 'placing', 'own', 'images', 'log'] as const).filter(
        (key) => JSON.stringify(next[key]) !== JSON.stringify(first[key]),
      )
      log('settings', later.length > 0 ? { later: later.join(', ') } : {})
    } catch (error) {
      log('error', { reason: (error as Error).message, mend: 'correct it; until then all stays as it was' })
    }
  }
  watchFile(first.file, { interval: LOOK_MS, persistent: false }, read)
  return () => unwatchFile(first.file, read)
}

async function candidates(settings: Settings, devices: Promise<FoundDevice[]>, log: Log): Promise<Runner[]> {
  const { kinds, upstreams: named, own, edges, images, placing } = settings
  const local = [...localRunners(kinds, log), ...ownRunners(own, log)]
  if (kinds.includes('wasi.run')) local.push(createWasiRunner())
  if (images.length > 0) local.push(...containerRunners(kinds, images, await devices))
  if (!UPSTREAM_KINDS.some((kind) => kinds.includes(kind))) return local
  const apiKey = process.env.DAICN_UPSTREAM_KEY
  const search = { named, usual: USUAL, edges, kinds, apiKey, devices, placing, askTool }
  return [...local, ...(await findUpstreams(search, log))]
}
