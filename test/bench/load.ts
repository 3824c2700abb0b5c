/** Closed-loop load: N clients, each with one thing in flight, bounded in time. */

export type Load = {
  /** Everything done, the warm-up included. */
  total: number
  /** Things done a second in the measured window. */
  perSecond: number
  /** Milliseconds, of every one in the window. */
  p50: number
  p99: number
}

export type Times = { /** Not measured. */ warmSeconds: number; seconds: number }

/**
 * @param clients each call does one thing and says how many it counts for; a throw ends the load
 */
export async function drive(clients: (() => Promise<number>)[], times: Times): Promise<Load> {
  const start = performance.now()
  const from = start + times.warmSeconds * 1000
  const until = from + times.seconds * 1000
  const latencies: number[] = []
  let total = 0
  let done = 0
  await Promise.all(
    clients.map(async (once) => {
      for (let begun = performance.now(); begun < until; ) {
        const count = await once()
        const ended = performance.now()
        total += count
        if (ended >= from && ended < until) {
          done += count
          latencies.push(ended - begun)
        }
        begun = ended
      }
    }),
  )
  latencies.sort((a, b) => a - b)
  return {
    total,
    perSecond: done / times.seconds,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
  }
}

/** Of sorted values; NaN without any. */
export function quantile(sorted: number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
