import type { HourHead } from '#core/hour-log.ts'
import {
  type HourList,
  hourNumber,
  type ReputationList,
  type ReputationView,
  type TaskRecord,
} from '#core/public-log.ts'
import { interval, NEWCOMER, type Reputations, recount, reputationKey, score } from '#core/reputation.ts'
import {
  type HourTally,
  type RequesterReputation,
  type RequesterReputations,
  reputationsOfTallies,
  tallyOf,
} from '#core/requester-reputation.ts'
import { type Connection, insist, send } from './edge.ts'
import type { Signal } from './task.ts'

type Options = Signal & { provider?: string }

export async function reputations(
  connection: Connection,
  { provider, signal }: Options = {},
): Promise<ReputationView[]> {
  const query = provider === undefined ? '' : `?provider=${encodeURIComponent(provider)}`
  return (await insist<ReputationList>(connection, 'GET', `/v1/reputations${query}`, { signal })).reputations
}

/** What an edge tells of one reputation, and what its public log gives; they are equal to the bit, or the edge is wrong. */
export type Recounted = {
  told: ReputationView
  /** Null while the log does not have as many outcomes yet as the edge told of; it is some seconds behind. */
  counted: ReputationView | null
  ok: boolean
}

/** Counts every reputation again from the public log. Reads all of it. */
export async function checkReputations(connection: Connection, options: Options = {}): Promise<Recounted[]> {
  // Told first: the log may know more by the time it is read, and no reputation is counted beyond what was told.
  const told = await reputations(connection, options)
  const until = new Map(told.map((view) => [keyOf(view), view.outcomes]))
  const counted: Reputations = new Map()
  const { hours } = await insist<HourList>(connection, 'GET', '/v1/exports', options)
  for (const { hour } of hours.toReversed()) {
    for await (const line of linesOf(connection, hour, options)) {
      const record = JSON.parse(line) as TaskRecord | HourHead
      if ('attempts' in record) recount(counted, record, until)
    }
  }
  return told.map((view) => {
    const reputation = counted.get(keyOf(view)) ?? NEWCOMER
    const { provider, kind, model, outcomes } = view
    if (reputation.outcomes < outcomes) return { told: view, counted: null, ok: false }
    const again = { provider, kind, model, score: score(reputation), interval: interval(reputation), ...reputation }
    return { told: view, counted: again, ok: isSame(view, again) }
  })
}

const keyOf = (view: ReputationView): string => reputationKey(view.provider, view)

type Figures = Omit<RequesterReputation, 'requester'>

const isSame = (one: Figures, other: Figures): boolean =>
  one.score === other.score &&
  one.successes === other.successes &&
  one.failures === other.failures &&
  one.day === other.day &&
  one.outcomes === other.outcomes &&
  one.interval.low === other.interval.low &&
  one.interval.mean === other.interval.mean &&
  one.interval.high === other.interval.high

/** The same of requesters; `counted` is null where the log has nothing of one that the edge tells of. */
export type RecountedRequester = { told: RequesterReputation; counted: RequesterReputation | null; ok: boolean }

/** Counts the reputation of every requester again from the closed hours of the public log, under the names it has there. */
export async function checkRequesters(connection: Connection, options: Signal = {}): Promise<RecountedRequester[]> {
  const { until, reputations } = await insist<RequesterReputations>(
    connection,
    'GET',
    '/v1/reputations/requesters',
    options,
  )
  const { hours } = await insist<HourList>(connection, 'GET', '/v1/exports', options)
  const tallies: HourTally[] = []
  for (const { hour } of hours) {
    if (until === null || hourNumber(hour) > hourNumber(until)) continue
    for await (const line of linesOf(connection, hour, options)) {
      const tally = tallyOf(hour, line)
      if (tally) tallies.push(tally)
    }
  }
  const counted = new Map(reputationsOfTallies(tallies).map((view) => [view.requester, view]))
  return reputations.map((told) => {
    const again = counted.get(told.requester) ?? null
    return { told, counted: again, ok: again !== null && isSame(told, again) }
  })
}

/** The lines of an hour of the public log, as they come. */
export async function* linesOf(connection: Connection, hour: string, { signal }: Signal = {}): AsyncGenerator<string> {
  const response = await send(connection, 'GET', `/v1/exports/${hour}`, { signal })
  let rest = ''
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    yield* lines
  }
}
