import { evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { expect, test } from 'vitest'
import type { BooksView, NetworkSnapshot } from '#core/protocol/network.ts'
import type { Market } from '#worker/objects/market.ts'
import type { Question } from '../../worker/line.ts'
import { market } from '../support/network.ts'
import version3 from './recorded/market-3.txt?raw'

/** What scripts/record-market.ts kept. */
type Recorded = {
  at: number
  expected: {
    requester: string
    keyed: string
    stream: string
    queued: string
    succeeded: string
    leases: string[]
    books: BooksView
    snapshot: NetworkSnapshot
  }
  kv: [key: string, value: unknown][]
  archive: Record<string, string | number>[]
  keys: Record<string, string | number>[]
}

const DAY_MS = 86_400_000

/** Times are moved to now: tasks have a day. */
function read(text: string): Recorded {
  const { at } = JSON.parse(text) as Recorded
  const now = Date.now()
  const { kv, expected } = JSON.parse(text, (_, value) => {
    if (typeof value === 'number') return Math.abs(value - at) < DAY_MS * 2 ? value - at + now : value
    if (value === null || typeof value !== 'object') return value
    if ('$n' in value) return BigInt(value.$n)
    if ('$m' in value) return new Map(value.$m)
    if ('$s' in value) return new Set(value.$s)
    if ('$f' in value) return Float64Array.from(value.$f)
    return '$x' in value ? Number(value.$x) : value
  }) as Recorded
  return { ...(JSON.parse(text) as Recorded), kv, expected }
}

/** That a provider has begun is not written down. */
const shown = ({ metrics: { totalTasks, totalProviders }, status }: NetworkSnapshot) => ({
  totalTasks,
  totalProviders,
  status: { ...status, leased: status.leased + status.running, running: 0 },
})

async function ask<T>(question: Question): Promise<T> {
  const { answers } = await market().exchange('a test', [{ ...question, id: 1 }])
  const [{ ok, text } = { ok: false, text: 'nothing' }] = answers
  if (!ok) throw new Error(text)
  return JSON.parse(text) as T
}

test.each([['3', version3]])(
  'what a market of version %s has written down is read, and gone on with',
  async (_, text) => {
    const { expected, kv, archive } = read(text)
    await runInDurableObject(market(), (_: Market, { storage }) => {
      for (const [key, value] of kv) storage.kv.put(key, value)
      for (const row of archive) {
        const columns = Object.keys(row)
        const places = columns.map(() => '?').join()
        storage.sql.exec(`insert into archive(${columns.join()}) values(${places})`, ...Object.values(row))
      }
    })
    await evictDurableObject(market())
    expect(await market().books()).toEqual(expected.books)
    expect(shown(await market().snapshot())).toEqual(shown(expected.snapshot))

    const requester = expected.requester as `0x${string}`
    const task = (id: string) => ask<{ status: string; output?: unknown }>({ method: 'read', args: [requester, id, 0] })
    expect(await task(expected.queued)).toMatchObject({ status: 'queued' })
    expect(await task(expected.succeeded)).toMatchObject({ status: 'succeeded', output: { content: 'hello there' } })
    const packed = JSON.parse(archive[0]!.tasks as string) as { view: { id: string } }[]
    expect(await task(packed[0]!.view.id)).toMatchObject({ status: 'cancelled' })

    const { providers } = await market().providers(undefined)
    const results = expected.leases.map((lease) => ({
      lease,
      outcome: {
        status: 'succeeded',
        output: { content: 'as before', finishReason: 'stop' },
        usage: { inputTokens: 8, outputTokens: 4 },
      },
    }))
    const call = JSON.stringify({ free: 0, seen: 1_000_000, results, renew: [], waitSeconds: 0 })
    const answer = await ask<{ results: { accepted: boolean }[] }>({
      method: 'poll',
      args: [providers[0]!.address, call as never],
    })
    expect(answer.results.map(({ accepted }) => accepted)).toEqual([true, true])
    for (const id of [expected.keyed, expected.stream]) {
      expect(await task(id)).toMatchObject({ status: 'succeeded', output: { content: 'as before' } })
    }
    const { address, earned } = (await market().providers(undefined)).providers[0]!
    expect(await market().earnings(address)).toEqual({ value: { earned, devices: [], unknown: earned } })
    const books = await market().books()
    await evictDurableObject(market())
    expect(await market().books()).toEqual(books)
  },
)
