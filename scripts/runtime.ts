/** Workers on workerd, as Miniflare starts it. */
import { readdirSync, readFileSync } from 'node:fs'
import { convertV4MiniflareOptions, Miniflare, type V4MiniflareOptions, type V4WorkerOptions } from 'miniflare'
import { dieWithUs } from './process.ts'

export type RuntimeOptions = {
  /** 0 takes a free one. */
  port: number
  /** The first one takes the requests. */
  workers: [V4WorkerOptions & { name: string }, ...V4WorkerOptions[]]
  /** Folder for what objects and databases hold; without it they forget. */
  persist?: string
  log?: (line: string) => void
}

export type Runtime = {
  url: string
  miniflare: Miniflare
  /** Process id of workerd; it changes when workerd crashed and was started again. */
  workerd(): number | undefined
  stop(): Promise<void>
}

/**
 * The young objects of an isolate have at most three times so many megabytes, of which the engine would take several times as many
 * and give none back. Under load the edge has some 260 MB in all with it and 400 without, and is as fast.
 */
const V8_FLAGS = '--max-semi-space-size=8'

/**
 * Requests enter by a socket of the Worker itself. Miniflare's own port runs a proxy Worker in front of ours, and with
 * assets a router as well: a bare hello serves 2,400 and 900 requests a second there where the socket serves 8,700.
 */
export async function startRuntime(options: RuntimeOptions): Promise<Runtime> {
  const [first, ...others] = options.workers
  let release = () => {}
  const guard = () => {
    release()
    const pid = workerdOf(process.pid)
    release = pid === undefined ? () => {} : dieWithUs(pid)
  }
  // The one way in which Miniflare takes them.
  process.env.MINIFLARE_WORKERD_V8_FLAGS ??= V8_FLAGS
  const settings: V4MiniflareOptions = {
    host: '127.0.0.1',
    port: 0,
    telemetry: { enabled: false },
    handleStructuredLogs: ({ level, message }) => options.log?.(`${level}: ${message}`),
    unsafeHandleRuntimeRestart: guard,
    workers: [{ ...first, unsafeDirectSockets: [{ host: '127.0.0.1', port: options.port }] }, ...others],
  }
  if (options.persist !== undefined) settings.resourcePersistencePath = options.persist
  const miniflare = new Miniflare(convertV4MiniflareOptions(settings))
  await miniflare.ready
  guard()
  return {
    url: (await miniflare.unsafeGetDirectURL(first.name)).origin,
    miniflare,
    workerd: () => workerdOf(process.pid),
    async stop() {
      await miniflare.dispose()
      release()
    },
  }
}

/** Miniflare does not name the process it started: it is our child whose program is workerd. Linux only. */
function workerdOf(parent: number): number | undefined {
  for (const entry of safely(() => readdirSync('/proc')) ?? []) {
    if (!/^\d+$/.test(entry)) continue
    const stat = safely(() => readFileSync(`/proc/${entry}/stat`, 'utf8'))
    const match = /^\d+ \((.*)\) \S (\d+) /.exec(stat ?? '')
    if (match?.[1] === 'workerd' && Number(match[2]) === parent) return Number(entry)
  }
  return undefined
}

function safely<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
