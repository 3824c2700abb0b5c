import { type ProviderTally, providerTallies } from '#core/provider-history.ts'
import { type RequesterTally, tallies } from '#core/requester-reputation.ts'
import type { Network } from './env.ts'
import { requesterName } from './requester-reputation.ts'
import type { HistoryTask } from './store/history.ts'

/** The lines of an hour of the public log, in its order: of the tasks, then of those who asked for them, told once it is closed. */
export async function* linesOf(network: Network, hour: number, last?: RequesterTally[]): AsyncGenerator<string> {
  for await (const { requester: _, ...record } of tasksOf(network, hour)) yield JSON.stringify(record)
  for (const tally of last ?? (await network.history.readTallies(hour))) yield JSON.stringify(tally)
}

/** Of an hour that is about to be closed: what it ends by, and what it says of providers. */
export async function talliesOf(
  network: Network,
  hour: number,
): Promise<{ requesters: RequesterTally[]; providers: ProviderTally[] }> {
  const counted: ReturnType<typeof tallies> = new Map()
  const providers: ReturnType<typeof providerTallies> = new Map()
  for await (const task of tasksOf(network, hour)) {
    tallies([task], counted)
    providerTallies([task], providers)
  }
  const named = [...counted].map(async ([address, counts]) => ({
    requester: await requesterName(network, address),
    ...counts,
  }))
  const requesters = (await Promise.all(named)).sort((x, y) => (x.requester < y.requester ? -1 : 1))
  return { requesters, providers: [...providers.values()] }
}

async function* tasksOf({ cells, history }: Network, hour: number): AsyncGenerator<HistoryTask> {
  for (const cell of cells) for await (const tasks of history.readPages(cell, hour)) yield* tasks
}
