/** Open-loop load: calls begin by the clock, whatever became of those before, as from many who do not know of each other. */
import { setTimeout as wait } from 'node:timers/promises'
import { type Answer, type Connection, openConnection } from './http.ts'
import { quantile } from './load.ts'

/** `told`: what came of the calls that began in the window, by name. Milliseconds of those with that name. */
export type OpenLoad = {
  perSecond(name: string): number
  ms(name: string, q: number): number
  all(name: string): number[]
  begun: number
}

/** Seconds until calls count; seconds in which they do. The load goes on until those have been answered. */
export type OpenTimes = { warmSeconds: number; seconds: number }

const IDLE_MS = 2_000

/** @param calls made in turn @param nameOf what came of one */
export async function driveOpen(
  url: URL,
  calls: readonly Buffer[],
  perSecond: number,
  { warmSeconds, seconds }: OpenTimes,
  nameOf: (answer: Answer) => string,
): Promise<OpenLoad> {
  const told = new Map<string, number[]>()
  const idle: { connection: Connection; since: number }[] = []
  const all: Connection[] = []
  const start = performance.now()
  const from = start + warmSeconds * 1000
  const until = from + seconds * 1000
  let begun = 0
  let waiting = 0
  let made = 0
  let failure: unknown

  async function once(due: number): Promise<void> {
    const counts = due >= from && due < until
    if (counts) {
      begun++
      waiting++
    }
    const connection = takeIdle() ?? (await opened())
    const name = nameOf(await connection.send(calls[made++ % calls.length]!))
    idle.push({ connection, since: performance.now() })
    if (!counts) return
    waiting--
    told.set(name, [...(told.get(name) ?? []), performance.now() - due])
  }
  /** The edge closes those that were idle for long. */
  function takeIdle(): Connection | undefined {
    const last = idle.pop()
    return last && performance.now() - last.since < IDLE_MS ? last.connection : undefined
  }
  async function opened(): Promise<Connection> {
    const connection = await openConnection(url)
    all.push(connection)
    return connection
  }

  let due = start
  for (; performance.now() < until || waiting > 0; ) {
    if (failure !== undefined) throw failure
    for (; due <= performance.now(); due += 1000 / perSecond) {
      once(due).catch((error) => {
        failure ??= error
      })
    }
    await wait(Math.max(1, due - performance.now()))
  }
  // Calls that do not count any more are broken off.
  failure = undefined
  for (const connection of all) connection.close()
  const sorted = new Map([...told].map(([name, ms]) => [name, ms.sort((x, y) => x - y)]))
  return {
    begun,
    perSecond: (name) => (sorted.get(name)?.length ?? 0) / seconds,
    ms: (name, q) => quantile(sorted.get(name) ?? [], q),
    all: (name) => sorted.get(name) ?? [],
  }
}
