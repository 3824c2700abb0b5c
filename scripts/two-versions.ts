/**
 * Two versions of the edge at the same time, as a platform has them while it deploys: Workers of both, each with an address of its own, over the
 * objects of one of them and one D1.
 */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { V4WorkerOptions } from 'miniflare'
import { migrate } from './migrate.ts'
import { startRuntime } from './runtime.ts'

/** A folder of this repository at some version, whose Worker is built. */
export type Version = { name: string; root: string }

export type TwoVersions = {
  /** Of each version's Worker. */
  urls: string[]
  /** Runs the scheduled handler of every version. */
  scheduled(): Promise<void>
  stop(): Promise<void>
}

/**
 * @param objects whose objects both use
 * @param log what the runtime says
 */
export async function startTwoVersions(
  versions: [Version, Version],
  objects: Version,
  log: (line: string) => void,
): Promise<TwoVersions> {
  const secret = randomBytes(32).toString('hex')
  const [first, ...others] = await Promise.all([
    ...versions.map((version) => workerOf(version, version.name, secret, HOST)),
    workerOf(objects, HOST, secret),
  ])
  const socket = { unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }] }
  const runtime = await startRuntime({
    port: 0,
    log,
    workers: [first!, ...others.map((worker) => ({ ...worker, ...socket }))],
  })
  const { miniflare } = runtime
  // As a deploy does: the migrations of both have run before either serves.
  for (const { root } of versions)
    await migrate(await miniflare.getD1Database('DB', HOST), join(root, 'drizzle/migrations'))
  return {
    urls: await Promise.all(versions.map(async ({ name }) => (await miniflare.unsafeGetDirectURL(name)).origin)),
    async scheduled() {
      for (const { name } of versions) {
        const worker = await miniflare.getWorker(name)
        await worker.scheduled({ cron: '* * * * *', scheduledTime: new Date() })
      }
    },
    stop: () => runtime.stop(),
  }
}

const HOST = 'objects'

/** @param host the Worker whose objects it uses; its own when there is none */
async function workerOf(
  { root }: Version,
  name: string,
  secret: string,
  host?: string,
): Promise<V4WorkerOptions & { name: string }> {
  const bundle = join(root, 'dist/worker')
  const { assets: _, ...built } = JSON.parse(await readFile(join(bundle, 'options.json'), 'utf8')) as V4WorkerOptions
  const durableObjects = built.durableObjects as Record<string, { className: string; useSQLite: boolean }>
  return {
    ...built,
    name,
    bindings: { ...built.bindings, EDGE_SECRET: secret, DEV: 'true' },
    modules: [{ type: 'ESModule', path: join(bundle, 'index.js'), contents: await readFile(join(bundle, 'index.js')) }],
    modulesRoot: bundle,
    ...(host !== undefined && {
      durableObjects: Object.fromEntries(
        Object.entries(durableObjects).map(([binding, object]) => [binding, { ...object, scriptName: host }]),
      ),
    }),
  }
}
