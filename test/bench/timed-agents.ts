/** Agents that take a while for each task, one at a time, so that what the network can do at most is known. */
import { setTimeout as wait } from 'node:timers/promises'
import type { PollAnswer } from '../../core/protocol/lease.ts'
import { OUTCOME } from './agents.ts'
import { openConnection, request } from './http.ts'

export type TimedAgents = {
  /** Results so far that came too late for their task. */
  wasted: () => number
  /** Rejects as soon as one of them meets an error. */
  failed: Promise<never>
  stop(): void
}

/** @param tokens of registered providers */
export async function startTimedAgents(edge: string, tokens: string[], workMs: number): Promise<TimedAgents> {
  const url = new URL('/v1/provider/poll', edge)
  let wasted = 0
  let stopping = false
  const work = async (token: string): Promise<never> => {
    const connection = await openConnection(url)
    const headers = { authorization: `Bearer ${token}` }
    let seen = 0
    let results = ''
    while (!stopping) {
      const body = `{"free":1,"seen":${seen},"results":[${results}],"renew":[],"waitSeconds":5}`
      const { status, body: bytes } = await connection.send(request('POST', url, headers, body))
      if (status !== 200) throw new Error(`poll answered ${status}: ${bytes.toString().slice(0, 500)}`)
      const answer = JSON.parse(bytes.toString()) as PollAnswer
      wasted += answer.results.filter(({ accepted }) => !accepted).length
      for (const lease of answer.leases) seen = Math.max(seen, lease.seq)
      if (answer.leases.length > 0) await wait(workMs)
      results = answer.leases.map((lease) => `{"lease":"${lease.id}","outcome":${OUTCOME}}`).join()
    }
    connection.close()
    return new Promise<never>(() => {})
  }
  const failed = Promise.race(tokens.map(work))
  failed.catch(() => {})
  return {
    wasted: () => wasted,
    failed,
    stop() {
      stopping = true
    },
  }
}
